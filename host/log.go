package host

import (
	"fmt"
	"time"

	"github.com/aleph-edge/aleph-edge/logs"
	"github.com/aleph-edge/aleph-edge/programs"
)

// drainLogs hands what the guest logged since the last call to the program's log.
func (inv *Invocation) drainLogs() {
	dropped := inv.instance.Logs(func(level int, text []byte) { inv.append(level, string(text)) })
	if dropped > inv.dropped {
		if inv.dropped == 0 {
			inv.logf(2, "log limit: %d bytes for a request; what follows is dropped", programs.RunLog)
		}
		inv.dropped = dropped
	}
}

// logf writes a line of the node's own into the program's log.
func (inv *Invocation) logf(level int, format string, args ...any) {
	inv.append(level, fmt.Sprintf(format, args...))
}

func (inv *Invocation) append(level int, text string) {
	inv.logged += len(text)
	inv.dispatcher.config.Logs.Append(inv.program.ID, logs.Entry{Time: time.Now(), Level: logs.Level(level), RequestID: string(inv.ID[:]), Message: text})
}
