package adminapi

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/usage"
)

const csvType = "text/csv"

// exportPatience is how long a client may take for some records of an export.
// One that takes them at all may take as long as it likes for the whole.
const exportPatience = time.Minute

func (s *Server) exportOwnUsage(c *call) (any, error) {
	return s.exportUsage(c, (*call).ownUsageFilter)
}

func (s *Server) exportAllUsage(c *call) (any, error) {
	return s.exportUsage(c, (*call).usageFilter)
}

// exportUsage answers with every record that the filters leave, newest first. It
// reads the first of them before it answers, so that what goes wrong can still be
// told; after that an export that fails is cut off.
func (s *Server) exportUsage(c *call, filter func(*call) (usage.Filter, error)) (any, error) {
	format, err := c.exportFormat()
	if err != nil {
		return nil, err
	}
	f, err := filter(c)
	if err != nil {
		return nil, err
	}
	view := c.usageViewer()
	total, all, err := s.Usage.All(c.ctx, f)
	if err != nil {
		return nil, err
	}
	return s.exported("usage", format, total, func(out io.Writer) error {
		if format == "csv" {
			return writeUsageCSV(out, all, view)
		}
		return writeJSONLines(out, all, func(e *usage.Entry) any { return view(e) })
	}), nil
}

// exportFormat is csv or json.
func (c *call) exportFormat() (string, error) {
	switch format := c.query.Get("format"); format {
	case "", "json":
		return "json", nil
	case "csv":
		return format, nil
	}
	return "", fault.New(fault.Invalid, "invalid_format", "format must be csv or json.").Field("format")
}

// exported answers with a file that write writes, of so many records.
func (s *Server) exported(what, format string, total int64, write func(io.Writer) error) http.Handler {
	media := "application/json"
	if format == "csv" {
		media = csvType
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", media+"; charset=utf-8")
		h.Set("Content-Disposition", `attachment; filename="halley-`+what+"-"+time.Now().UTC().Format("20060102-150405")+"."+format+`"`)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Total-Count", strconv.FormatInt(total, 10))
		out := &patientWriter{w: w, control: http.NewResponseController(w)}
		if err := write(out); err != nil {
			if r.Context().Err() == nil { // else the client has left
				s.base.Log.LogAttrs(r.Context(), slog.LevelError, "an export was cut off", slog.String("of", what), slog.String("request_id", requestID(r)), slog.String("error", err.Error()))
			}
			panic(http.ErrAbortHandler) // the client must not take half of it for all
		}
	})
}

// patientWriter gives the client time for each portion anew.
type patientWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (p *patientWriter) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(exportPatience)) // not every writer has one
	n, err := p.w.Write(b)
	if err == nil {
		_ = p.control.Flush() // likewise
	}
	return n, err
}

// exportBuffer is how much is written at once: some hundred records.
const exportBuffer = 64 << 10

// writeJSONLines writes an array with a record on each line.
func writeJSONLines[T any](to io.Writer, all iter.Seq2[T, error], view func(T) any) error {
	out := bufio.NewWriterSize(to, exportBuffer)
	before := "[\n"
	for e, err := range all {
		if err != nil {
			return err
		}
		text, err := jsonx.Marshal(view(e))
		if err != nil {
			return fmt.Errorf("write a record as JSON: %w", err)
		}
		if _, err := out.WriteString(before); err != nil {
			return err
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
		before = ",\n"
	}
	end := "\n]\n"
	if before == "[\n" {
		end = "[]\n"
	}
	if _, err := out.WriteString(end); err != nil {
		return err
	}
	return out.Flush()
}

// writeUsageCSV writes a header and a line per record. Columns are named as the
// members of the JSON; time is text that spreadsheets take for a time.
func writeUsageCSV(to io.Writer, all iter.Seq2[*usage.Entry, error], view func(*usage.Entry) usageView) error {
	buffer := bufio.NewWriterSize(to, exportBuffer)
	out := csv.NewWriter(buffer)
	if err := out.Write([]string{
		"id", "time", "request_id", "key_id", "key_name", "user_id", "model", "served_model", "channel_id", "group", "dialect", "endpoint", "stream", "status", "error_code",
		"prompt_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "input_audio_tokens", "input_image_tokens",
		"completion_tokens", "reasoning_tokens", "output_audio_tokens", "output_image_tokens", "searches",
		"quota", "usd", "absorbed", "held", "price_version", "latency_ms", "first_byte_ms", "attempts", "trail", "usage_source", "end_user", "ip", "parent_id",
	}); err != nil {
		return err
	}
	whole := func(n int64) string { return strconv.FormatInt(n, 10) }
	for e, err := range all {
		if err != nil {
			return err
		}
		v := view(e)
		if err := out.Write([]string{
			whole(v.ID), e.Time.UTC().Format(time.RFC3339), harmless(v.RequestID), whole(v.KeyID), harmless(v.KeyName), whole(v.UserID), harmless(v.Model), harmless(v.ServedModel), whole(v.ChannelID),
			harmless(v.Group), v.Dialect, v.Endpoint, strconv.FormatBool(v.Stream), strconv.Itoa(v.Status), harmless(v.ErrorCode),
			whole(v.PromptTokens), whole(v.CachedTokens), whole(v.CacheWriteTokens), whole(v.CacheWrite1hTokens), whole(v.InputAudioTokens), whole(v.InputImageTokens),
			whole(v.CompletionTokens), whole(v.ReasoningTokens), whole(v.OutputAudioTokens), whole(v.OutputImageTokens), whole(v.Searches),
			v.Quota, strconv.FormatFloat(v.USD, 'f', -1, 64), v.Absorbed, v.Held, harmless(v.PriceVersion), whole(v.LatencyMs), whole(v.FirstByteMs), strconv.Itoa(v.Attempts), trailCell(v.Trail), v.UsageSource,
			harmless(v.EndUser), harmless(v.IP), whole(v.ParentID),
		}); err != nil {
			return err
		}
	}
	if out.Flush(); out.Error() != nil {
		return out.Error()
	}
	return buffer.Flush()
}

// trailCell is what became of each attempt, as the header x-halley-attempts has it.
func trailCell(trail []tryView) string {
	var b strings.Builder
	for i, one := range trail {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.FormatInt(one.ChannelID, 10) + "=" + one.Outcome)
	}
	return b.String()
}

// harmless is a cell that no spreadsheet takes for a formula: what strangers
// wrote may begin like one, also behind spaces.
func harmless(cell string) string {
	if start := strings.TrimLeft(cell, " \u00a0"); start != "" && strings.ContainsRune("=+-@\t\r\n|%＝＋－＠", []rune(start)[0]) {
		return "'" + cell
	}
	return cell
}
