package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// firstLine reads what standard input begins with, without the line's end: where
// secrets come from, as others could see them on a command line. what names it in
// errors, such as "the password".
func firstLine(stdin io.Reader, what string) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read %s from standard input: %w", what, err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
