package client

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"strconv"
	"time"
)

// maxLogLine bounds one entry of a log as JSON, in bytes.
const maxLogLine = 1 << 20

// LogEntry is one line of a program's log.
type LogEntry struct {
	Time      time.Time `json:"time"`
	Level     string    `json:"level"` // debug, info, warning or error
	RequestID string    `json:"request_id"`
	Message   string    `json:"message"`
}

// Logs gives the last limit entries of a program's log, oldest first, and with follow those that come, until the context
// ends or the node closes the stream. An error is the last of the sequence. Signed.
func (c *Client) Logs(ctx context.Context, id string, limit int, follow bool) iter.Seq2[LogEntry, error] {
	return func(yield func(LogEntry, error) bool) {
		path := programPath(id, "/logs?limit=") + strconv.Itoa(limit)
		if follow {
			path += "&follow=1"
		}
		resp, err := c.send(ctx, request{method: http.MethodGet, path: path, signed: true})
		if err != nil {
			yield(LogEntry{}, err)
			return
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
			yield(LogEntry{}, c.refusal(resp.StatusCode, body))
			return
		}
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, maxLogLine)
		for lines.Scan() {
			if len(lines.Bytes()) == 0 {
				continue // the node keeps a quiet stream alive with empty lines
			}
			var entry LogEntry
			if json.Unmarshal(lines.Bytes(), &entry) != nil {
				yield(LogEntry{}, c.foreign(resp.StatusCode))
				return
			}
			if !yield(entry, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(LogEntry{}, c.unreachable(ctx, err))
		}
	}
}
