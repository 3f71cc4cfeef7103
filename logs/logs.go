package logs

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options of Logs. A zero field has its default.
type Options struct {
	// FileSize is the most that one of a program's two files holds, in bytes. The default is 1 MiB.
	FileSize int64
	// TotalSize is the most that all files hold after a flush, in bytes. The default is 1 GiB.
	TotalSize int64
	// MaxMessage is the longest message, in bytes; a longer one is cut, with a note. The default is 32 KiB. Six times as much,
	// which is what it may take as JSON, must fit a file.
	MaxMessage int
	// FlushEvery is how long an entry waits at most for being written. The default is 200 ms.
	FlushEvery time.Duration
	// Queue is the most that may wait for being written, of one program, in bytes. The default is 2 MiB.
	Queue int64
	// QueueTotal is the same of all programs. The default is 64 MiB.
	QueueTotal int64
	// FollowBuffer is how many entries a follower may be behind, at least 1. The default is 1024.
	FollowBuffer int
	// Sink gets every entry, one after the other, for the node's terminal: see Printable. It may block; it then misses
	// entries, and gets one with an empty program that says how many. The default is none.
	Sink func(program string, e Entry)
	// Log is told when entries cannot be written, and when they can again. The default is slog.Default().
	Log *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	setDefault(&o.FileSize, 1<<20)
	setDefault(&o.TotalSize, 1<<30)
	setDefault(&o.MaxMessage, 32<<10)
	setDefault(&o.FlushEvery, 200*time.Millisecond)
	setDefault(&o.Queue, 2<<20)
	setDefault(&o.QueueTotal, 64<<20)
	setDefault(&o.FollowBuffer, 1024)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	for _, c := range []struct {
		name       string
		value, min int64
	}{
		{"max_message", int64(o.MaxMessage), 1},
		{"file_size", o.FileSize, 6*int64(o.MaxMessage+maxRequestID) + 1024},
		{"total_size", o.TotalSize, o.FileSize},
		{"flush_every", int64(o.FlushEvery), 1},
		{"queue", o.Queue, 1},
		{"queue_total", o.QueueTotal, 1},
		{"follow_buffer", int64(o.FollowBuffer), 1},
	} {
		if c.value < c.min {
			return o, fmt.Errorf("logs: %s: %d, must be at least %d", c.name, c.value, c.min)
		}
	}
	return o, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Logs are the logs of a node's programs. Its methods may be called at the same time.
type Logs struct {
	dir  string
	opts Options

	mu       sync.Mutex
	programs map[string]*program
	dirty    []*program // those with a queue to write

	queued atomic.Int64 // bytes in all queues
	total  atomic.Int64 // bytes in all files
	buf    bytes.Buffer // the writer's

	wake  chan struct{} // there is something to write
	hurry chan struct{} // before its time, since a queue is half full

	sink     chan printed
	sinkLost atomic.Int64

	close    sync.Once
	closeErr error
	closed   atomic.Bool
	stop     chan struct{}
	gone     chan struct{} // the writer has ended
	sinkGone chan struct{}
}

// program is the log of one program. Locks are taken in the order of its fields; Logs.mu comes last.
type program struct {
	name string

	files    sync.Mutex // held while its files are read or written: what leaves the queue is in the file when it is released
	current  file
	previous file
	trimmed  bool // no part of a line is at the end of current

	mu         sync.Mutex
	removed    bool // set under both locks; the map has it no more
	queue      []Entry
	size       int64     // of the queue, in bytes
	lost       int       // entries that did not reach the files, not yet told in them
	lostBehind int       // so many of the queue came before the first of them
	lostWhen   time.Time // when the last of them came
	dirty      bool      // it is in Logs.dirty
	followers  []*follower
}

// file is one file on disk; size 0 if there is none.
type file struct {
	size     int64
	modified time.Time
}

// Open opens the logs in dir, which is made if it is not there.
func Open(dir string, opts Options) (*Logs, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Logs{
		dir: dir, opts: opts, programs: make(map[string]*program), wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
		stop: make(chan struct{}), gone: make(chan struct{}), sinkGone: make(chan struct{}),
	}
	if err := l.scan(); err != nil {
		return nil, fmt.Errorf("open logs: %w", err)
	}
	go l.run()
	if opts.Sink == nil {
		close(l.sinkGone)
	} else {
		l.sink = make(chan printed, sinkBuffer)
		go l.print()
	}
	return l, nil
}

// Close writes what is queued, ends every follower, and waits for the sink to have printed what it was given, for up to a second.
// What is appended from then on is lost. Calling it again gives the same result.
func (l *Logs) Close() error {
	l.close.Do(func() {
		l.closed.Store(true)
		close(l.stop)
		<-l.gone
		l.closeErr = l.flush()
		for _, p := range l.all() {
			p.mu.Lock()
			p.endFollowers()
			p.mu.Unlock()
		}
		select {
		case <-l.sinkGone:
		case <-time.After(sinkPatience):
		}
	})
	return l.closeErr
}

// Append adds entries to a program's log. It never waits for a disk, a reader or a terminal. The strings are kept.
func (l *Logs) Append(program string, entries ...Entry) {
	if len(entries) == 0 || l.closed.Load() {
		return
	}
	p := l.program(program)
	p.mu.Lock()
	for p.removed {
		p.mu.Unlock()
		p = l.program(program)
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	for _, e := range entries {
		e = e.clean(l.opts.MaxMessage)
		l.enqueue(p, e)
		for _, f := range p.followers {
			f.push(e)
		}
		l.show(p.name, e)
	}
	l.mark(p)
	if p.size > l.opts.Queue/2 || l.queued.Load() > l.opts.QueueTotal/2 {
		signal(l.hurry)
	}
}

// enqueue adds e to p's queue, if there is room. p.mu is held.
func (l *Logs) enqueue(p *program, e Entry) {
	size := int64(e.size())
	if p.size+size > l.opts.Queue || l.queued.Load()+size > l.opts.QueueTotal {
		p.lose(1, len(p.queue), e.Time)
		return
	}
	p.queue = append(p.queue, e)
	p.size += size
	l.queued.Add(size)
}

// lose counts n lost entries, the last of them at the time when, behind so many of the queue. p.mu is held.
func (p *program) lose(n, behind int, when time.Time) {
	if p.lost == 0 {
		p.lostBehind = behind
	}
	p.lost += n
	p.lostWhen = when
}

// Tail returns the last n entries of a program, oldest first, those among them that are not yet written too.
func (l *Logs) Tail(program string, n int) ([]Entry, error) {
	p := l.acquire(program)
	defer p.files.Unlock()
	stored, err := l.stored(p, n)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last(stored, n), nil
}

// last is the last n of stored and what is queued. p.files and p.mu are held.
func (p *program) last(stored []Entry, n int) []Entry {
	entries := slices.Concat(stored, p.queue)
	return entries[max(len(entries)-max(n, 0), 0):]
}

// Remove deletes a program's log and ends its followers. What is appended later begins a new one, so call it when the program
// runs no more.
func (l *Logs) Remove(program string) error {
	p := l.acquire(program)
	defer p.files.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endFollowers()
	l.queued.Add(-p.size)
	p.queue, p.size, p.lost = nil, 0, 0
	err := errors.Join(l.remove(p, &p.current), l.remove(p, &p.previous))
	if err != nil {
		return fmt.Errorf("remove the log of %s: %w", program, err)
	}
	p.removed = true
	l.mu.Lock()
	delete(l.programs, program)
	l.mu.Unlock()
	return nil
}

// program finds or makes a program, which may be removed by the time that it is locked.
func (l *Logs) program(name string) *program {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.programs[name]
	if p == nil {
		p = &program{name: strings.Clone(name)}
		l.programs[p.name] = p
	}
	return p
}

// acquire finds or makes a program and locks its files.
func (l *Logs) acquire(name string) *program {
	for {
		p := l.program(name)
		p.files.Lock()
		if !p.removed {
			return p
		}
		p.files.Unlock()
	}
}

func (l *Logs) all() []*program {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*program, 0, len(l.programs))
	for _, p := range l.programs {
		all = append(all, p)
	}
	return all
}

// mark has the writer look at p. p.mu is held.
func (l *Logs) mark(p *program) {
	if p.dirty {
		return
	}
	p.dirty = true
	l.mu.Lock()
	l.dirty = append(l.dirty, p)
	l.mu.Unlock()
	signal(l.wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
