package logs

import "time"

const (
	sinkBuffer   = 1024 // entries that the terminal may be behind
	sinkPatience = time.Second
)

// printed is an entry for the terminal.
type printed struct {
	program string
	entry   Entry
}

// show hands e to the sink's goroutine, if that is not too far behind.
func (l *Logs) show(program string, e Entry) {
	if l.sink == nil {
		return
	}
	select {
	case l.sink <- printed{program, e}:
	default:
		l.sinkLost.Add(1)
	}
}

// print is the goroutine that calls the sink. It ends when the Logs are closed and it has printed what was before that.
func (l *Logs) print() {
	defer close(l.sinkGone)
	for {
		select {
		case p := <-l.sink:
			l.printOne(p)
		case <-l.stop:
			for range len(l.sink) {
				l.printOne(<-l.sink)
			}
			return
		}
	}
}

func (l *Logs) printOne(p printed) {
	l.opts.Sink(p.program, p.entry)
	if n := l.sinkLost.Swap(0); n > 0 {
		l.opts.Sink("", lost(int(n), p.entry.Time, "the terminal was too slow"))
	}
}
