package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"halley/internal/channel"
	"halley/internal/jsonx"
)

var _ channel.Store = (*DB)(nil)

const channelColumns = `name, kind, base_url, credentials, models, model_mapping, groups, priority, weight, status, tag, timeouts, on_disconnect, settings`

const (
	sqlChannels      = `SELECT id, created_ms, version, ` + channelColumns + ` FROM channels ORDER BY id`
	sqlChannel       = `SELECT id, created_ms, version, ` + channelColumns + ` FROM channels WHERE id = $1`
	sqlChannelInsert = `INSERT INTO channels (` + channelColumns + `, created_ms, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1) RETURNING id`
	sqlChannelUpdate = `UPDATE channels SET name = $1, kind = $2, base_url = $3, credentials = $4, models = $5, model_mapping = $6, groups = $7, priority = $8, weight = $9, status = $10, tag = $11, timeouts = $12, on_disconnect = $13, settings = $14, version = version + 1 WHERE id = $15 AND version = $16`
	sqlChannelDelete = `DELETE FROM channels WHERE id = $1`
)

// channelCredential is an entry of the credentials column.
type channelCredential struct {
	ID     string `json:"id"`
	Sealed []byte `json:"sealed"`
	Last4  string `json:"last4"`
}

// channelTimeouts is the timeouts column, in milliseconds.
type channelTimeouts struct {
	Connect   int64 `json:"connect_ms,omitzero"`
	FirstByte int64 `json:"first_byte_ms,omitzero"`
	Idle      int64 `json:"idle_ms,omitzero"`
	Total     int64 `json:"total_ms,omitzero"`
	Drain     int64 `json:"drain_ms,omitzero"`
}

// channelSettings is the settings column: what most channels do without.
type channelSettings struct {
	Azure     channelAzure          `json:"azure,omitzero"`
	Vertex    channelVertex         `json:"vertex,omitzero"`
	AWS       channelAWS            `json:"aws,omitzero"`
	Proxy     []byte                `json:"proxy_sealed,omitempty"`
	CAPEM     string                `json:"ca_pem,omitzero"`
	Overrides *channel.OverrideSpec `json:"overrides,omitzero"`
	Caps      channelCaps           `json:"caps,omitzero"`
	API       string                `json:"api,omitzero"`
	Checks    channelChecks         `json:"checks,omitzero"`
}

// channelAzure is a member of the settings column.
type channelAzure struct {
	APIVersion string `json:"api_version,omitzero"`
	Authority  string `json:"authority,omitzero"`
	Scope      string `json:"scope,omitzero"`
}

// channelVertex is a member of the settings column.
type channelVertex struct {
	Project  string `json:"project,omitzero"`
	Location string `json:"location,omitzero"`
}

// channelAWS is a member of the settings column.
type channelAWS struct {
	Region string `json:"region,omitzero"`
}

// channelCaps is a member of the settings column.
type channelCaps struct {
	Concurrency int64 `json:"concurrency,omitzero"`
	RPM         int64 `json:"rpm,omitzero"`
	TPM         int64 `json:"tpm,omitzero"`
	QueueMS     int64 `json:"queue_ms,omitzero"`
}

// channelChecks is a member of the settings column.
type channelChecks struct {
	Mode    string `json:"mode,omitzero"`
	Model   string `json:"model,omitzero"`
	EveryMS int64  `json:"every_ms,omitzero"`
}

func settingsOf(c *channel.Channel) channelSettings {
	s := channelSettings{
		Azure: channelAzure(c.Azure), Vertex: channelVertex(c.Vertex), AWS: channelAWS(c.AWS), Proxy: c.Network.Proxy.Sealed, CAPEM: c.Network.CAPEM,
		Caps:   channelCaps{Concurrency: c.Caps.Concurrency, RPM: c.Caps.RPM, TPM: c.Caps.TPM, QueueMS: c.Caps.Queue.Milliseconds()},
		API:    string(c.API),
		Checks: channelChecks{string(c.Checks.Mode), c.Checks.Model, c.Checks.Every.Milliseconds()},
	}
	if c.Overrides != nil {
		s.Overrides = new(c.Overrides.Spec())
	}
	return s
}

func (s channelSettings) into(c *channel.Channel) error {
	c.Azure, c.Vertex = channel.AzureSettings(s.Azure), channel.VertexSettings(s.Vertex)
	c.AWS = channel.AWSSettings(s.AWS)
	c.Network.Proxy.Sealed, c.Network.CAPEM = s.Proxy, s.CAPEM
	c.API = channel.API(s.API)
	c.Checks = channel.Checks{Mode: channel.CheckMode(s.Checks.Mode), Model: s.Checks.Model, Every: time.Duration(s.Checks.EveryMS) * time.Millisecond}
	c.Caps = channel.Caps{Concurrency: s.Caps.Concurrency, RPM: s.Caps.RPM, TPM: s.Caps.TPM, Queue: time.Duration(s.Caps.QueueMS) * time.Millisecond}
	if s.Overrides == nil {
		return nil
	}
	var err error
	c.Overrides, err = channel.NewOverrides(*s.Overrides)
	return err
}

// Channels implements channel.Store.
func (db *DB) Channels(ctx context.Context) ([]*channel.Channel, error) {
	rows, err := db.r.QueryContext(ctx, sqlChannels)
	if err != nil {
		return nil, fmt.Errorf("select channels: %w", err)
	}
	defer rows.Close()
	var channels []*channel.Channel
	for rows.Next() {
		c, err := scanChannel(rows)
		if err != nil {
			return nil, err
		}
		channels = append(channels, c)
	}
	return channels, rows.Err()
}

// Channel implements channel.Store. It reads where writes go, so that a change
// that was just made is seen.
func (db *DB) Channel(ctx context.Context, id int64) (*channel.Channel, error) {
	c, err := scanChannel(db.w.QueryRowContext(ctx, sqlChannel, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, channel.NotFound(id)
	}
	return c, err
}

// InsertChannel implements channel.Store.
func (db *DB) InsertChannel(ctx context.Context, c *channel.Channel) (int64, error) {
	values, err := channelValues(c)
	if err != nil {
		return 0, err
	}
	var id int64
	if err := db.w.QueryRowContext(ctx, sqlChannelInsert, append(values, millis(c.Created))...).Scan(&id); err != nil {
		return 0, fmt.Errorf("insert channel: %w", err)
	}
	return id, nil
}

// UpdateChannel implements channel.Store.
func (db *DB) UpdateChannel(ctx context.Context, c *channel.Channel, version int64) (bool, error) {
	values, err := channelValues(c)
	if err != nil {
		return false, err
	}
	result, err := db.w.ExecContext(ctx, sqlChannelUpdate, append(values, c.ID, version)...)
	if err != nil {
		return false, fmt.Errorf("update channel: %w", err)
	}
	return changedRow(result)
}

// DeleteChannel implements channel.Store.
func (db *DB) DeleteChannel(ctx context.Context, id int64) (bool, error) {
	result, err := db.w.ExecContext(ctx, sqlChannelDelete, id)
	if err != nil {
		return false, fmt.Errorf("delete channel: %w", err)
	}
	return changedRow(result)
}

// channelValues are the values of channelColumns, in their order.
func channelValues(c *channel.Channel) ([]any, error) {
	credentials := make([]channelCredential, len(c.Credentials))
	for i, cred := range c.Credentials {
		credentials[i] = channelCredential{ID: cred.ID, Sealed: cred.Sealed, Last4: cred.Last4}
	}
	timeouts := channelTimeouts{
		Connect: c.Timeouts.Connect.Milliseconds(), FirstByte: c.Timeouts.FirstByte.Milliseconds(),
		Idle: c.Timeouts.Idle.Milliseconds(), Total: c.Timeouts.Total.Milliseconds(), Drain: c.Timeouts.Drain.Milliseconds(),
	}
	texts := make([]string, 6)
	for i, v := range []any{credentials, c.Models, c.ModelMapping.Entries(), c.Groups, timeouts, settingsOf(c)} {
		text, err := jsonx.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("write channel: %w", err)
		}
		texts[i] = string(text)
	}
	return []any{
		c.Name, string(c.Kind), c.BaseURL, texts[0], texts[1], texts[2], texts[3],
		c.Priority, c.Weight, int64(c.Status), c.Tag, texts[4], string(c.OnDisconnect), texts[5],
	}, nil
}

func scanChannel(row interface{ Scan(...any) error }) (*channel.Channel, error) {
	var c channel.Channel
	var created int64
	var credentialText, modelText, mappingText, groupText, timeoutText, settingText string
	err := row.Scan(&c.ID, &created, &c.Version, &c.Name, &c.Kind, &c.BaseURL, &credentialText, &modelText, &mappingText,
		&groupText, &c.Priority, &c.Weight, &c.Status, &c.Tag, &timeoutText, &c.OnDisconnect, &settingText)
	if err != nil {
		return nil, fmt.Errorf("read channel: %w", err)
	}
	var credentials []channelCredential
	var timeouts channelTimeouts
	var settings channelSettings
	var mapping map[string]string
	for _, column := range []struct {
		text string
		into any
	}{
		{credentialText, &credentials}, {modelText, &c.Models}, {mappingText, &mapping},
		{groupText, &c.Groups}, {timeoutText, &timeouts}, {settingText, &settings},
	} {
		if err := jsonx.Unmarshal([]byte(column.text), column.into); err != nil {
			return nil, fmt.Errorf("read channel %d: %w", c.ID, err)
		}
	}
	c.ModelMapping, err = channel.NewMapping(mapping)
	if err == nil {
		err = settings.into(&c)
	}
	if err != nil {
		return nil, fmt.Errorf("read channel %d: %w", c.ID, err)
	}
	c.Created = instant(created)
	for _, cred := range credentials {
		c.Credentials = append(c.Credentials, channel.Credential{ID: cred.ID, Sealed: cred.Sealed, Last4: cred.Last4})
	}
	c.Timeouts = channel.Timeouts{
		Connect: time.Duration(timeouts.Connect) * time.Millisecond, FirstByte: time.Duration(timeouts.FirstByte) * time.Millisecond,
		Idle: time.Duration(timeouts.Idle) * time.Millisecond, Total: time.Duration(timeouts.Total) * time.Millisecond, Drain: time.Duration(timeouts.Drain) * time.Millisecond,
	}
	return &c, nil
}
