package alephguest

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"sync"

	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/host"
)

// LogHandler gives a handler that writes to the program's log, whose entries have levels and times of their own. It is slog's default,
// with a nil level: debug and up. What package log writes goes there as information, and standard error as errors.
func LogHandler(level slog.Leveler) slog.Handler {
	if level == nil {
		level = slog.LevelDebug
	}
	h := &logHandler{entry: &entry{}}
	h.attributes = slog.NewTextHandler(&h.entry.text, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}})
	return h
}

// An entry is the text that is being made, shared by a handler and those made of it.
type entry struct {
	mu   sync.Mutex
	text bytes.Buffer
}

type logHandler struct {
	entry      *entry
	attributes slog.Handler // writes them to the entry
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.attributes.Enabled(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, record slog.Record) error {
	h.entry.mu.Lock()
	defer h.entry.mu.Unlock()
	text := &h.entry.text
	text.Reset()
	text.WriteString(record.Message)
	text.WriteByte(' ')
	if err := h.attributes.Handle(ctx, record); err != nil {
		return err
	}
	level := 3
	switch {
	case record.Level < slog.LevelInfo:
		level = 0
	case record.Level < slog.LevelWarn:
		level = 1
	case record.Level < slog.LevelError:
		level = 2
	}
	host.Log(level, bytes.TrimRight(text.Bytes(), " \n"))
	return nil
}

func (h *logHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return &logHandler{h.entry, h.attributes.WithAttrs(attributes)}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.entry, h.attributes.WithGroup(name)}
}

// logToNode makes the program's log the default one.
func logToNode() {
	slog.SetDefault(slog.New(LogHandler(nil)))
	log.SetFlags(0)
}
