package cli

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"halley/internal/config"
)

// configFlags is one flag for each option of the configuration, so that flags,
// environment and file say the same.
func configFlags() kong.Plugins {
	options := config.Options()
	fields := make([]reflect.StructField, len(options))
	for i, o := range options {
		words := strings.Fields(o.Type)
		tag := "name:%s help:%s placeholder:%s"
		fields[i] = reflect.StructField{
			Name: "Flag" + strconv.Itoa(i), Type: reflect.TypeFor[string](),
			Tag: reflect.StructTag(fmt.Sprintf(tag, strconv.Quote(o.Flag), strconv.Quote(o.Help+" ($"+o.Env+")"), strconv.Quote(strings.ToUpper(words[len(words)-1])))),
		}
	}
	return kong.Plugins{reflect.New(reflect.StructOf(fields)).Interface()}
}

// overrides are the flags that were given.
func overrides(flags kong.Plugins) []config.Override {
	var given []config.Override
	for _, plugin := range flags {
		values := reflect.ValueOf(plugin).Elem()
		for i, o := range config.Options() {
			if value := values.Field(i).String(); value != "" {
				given = append(given, config.Override{Key: o.Key, Value: value})
			}
		}
	}
	return given
}
