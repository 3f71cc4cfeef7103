package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// run is the writer: the one goroutine that writes files. It flushes some time after the first entry came, so that an idle
// node does nothing.
func (l *Logs) run() {
	defer close(l.gone)
	var failed error
	for {
		select {
		case <-l.wake:
		case <-l.stop:
			return
		}
		wait := time.NewTimer(l.opts.FlushEvery)
		select {
		case <-wait.C:
		case <-l.hurry:
		case <-l.stop:
		}
		wait.Stop()
		err := l.flush()
		switch {
		case err != nil && failed == nil:
			l.opts.Log.Error("programs' logs are not stored", "error", err)
		case err == nil && failed != nil:
			l.opts.Log.Info("programs' logs are stored again")
		}
		failed = err
	}
}

// flush writes the queues of the programs that have one and keeps the files within their total.
func (l *Logs) flush() error {
	l.mu.Lock()
	dirty := l.dirty
	l.dirty = nil
	l.mu.Unlock()
	var errs []error
	for _, p := range dirty {
		if err := l.write(p); err != nil {
			errs = append(errs, fmt.Errorf("log of %s: %w", p.name, err))
		}
	}
	return errors.Join(append(errs, l.evict())...)
}

func (l *Logs) write(p *program) error {
	p.files.Lock()
	defer p.files.Unlock()

	p.mu.Lock()
	batch, missing, behind := p.queue, p.lost, p.lostBehind
	if missing > 0 {
		batch = slices.Insert(batch, behind, lost(missing, p.lostWhen, "they could not be written in time"))
		p.lost = 0
	}
	l.queued.Add(-p.size)
	p.queue, p.size, p.dirty = nil, 0, false
	p.mu.Unlock()

	n, err := l.store(p, batch)

	p.mu.Lock()
	defer p.mu.Unlock()
	if unwritten := len(batch) - n; unwritten > 0 {
		if missing > 0 && behind >= n {
			unwritten += missing - 1 // the entry that tells of them is none itself
		}
		p.lose(unwritten, 0, batch[len(batch)-1].Time)
	}
	for _, f := range p.followers {
		if f.tell(); f.lost > 0 {
			l.mark(p) // to try again
		}
	}
	return err
}

// store appends entries to p's file, and goes on to the next where one is full. It returns how many it wrote. p.files is held.
func (l *Logs) store(p *program, entries []Entry) (written int, err error) {
	b := &l.buf
	b.Reset()
	for i, e := range entries {
		before := b.Len()
		if err := appendLine(b, e); err != nil {
			return written, err
		}
		if p.current.size+int64(b.Len()) <= l.opts.FileSize || p.current.size+int64(before) == 0 {
			continue
		}
		line := bytes.Clone(b.Bytes()[before:])
		if err := l.append(p, b.Bytes()[:before]); err != nil {
			return written, err
		}
		written = i
		if err := l.rotate(p); err != nil {
			return written, err
		}
		b.Reset()
		b.Write(line)
	}
	if err := l.append(p, b.Bytes()); err != nil {
		return written, err
	}
	return len(entries), nil
}

// append writes lines at the end of p's current file: all of them or, if the disk takes a truncation, none.
func (l *Logs) append(p *program, lines []byte) (err error) {
	if len(lines) == 0 {
		return nil
	}
	f, err := os.OpenFile(l.path(p, &p.current), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := l.trim(p, f); err != nil {
		return err
	}
	if _, err := f.Write(lines); err != nil {
		cut := f.Truncate(p.current.size)
		p.trimmed = cut == nil
		return errors.Join(err, cut)
	}
	l.total.Add(int64(len(lines)))
	p.current = file{p.current.size + int64(len(lines)), time.Now()}
	return nil
}

// trim cuts the end of a line that a crash or a full disk left in p's current file, which is f.
func (l *Logs) trim(p *program, f *os.File) error {
	if p.trimmed {
		return nil
	}
	text, err := os.ReadFile(f.Name())
	if err != nil {
		return err
	}
	whole := int64(bytes.LastIndexByte(text, '\n') + 1)
	if whole < int64(len(text)) {
		if err := f.Truncate(whole); err != nil {
			return err
		}
	}
	l.total.Add(whole - p.current.size)
	p.current.size = whole
	p.trimmed = true
	return nil
}

// rotate makes p's current file the one before it, in whose place it comes.
func (l *Logs) rotate(p *program) error {
	if err := os.Rename(l.path(p, &p.current), l.path(p, &p.previous)); err != nil {
		return err
	}
	l.total.Add(-p.previous.size)
	p.previous, p.current = p.current, file{}
	return nil
}

// remove deletes one of p's files. p.files is held.
func (l *Logs) remove(p *program, f *file) error {
	if err := os.Remove(l.path(p, f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.total.Add(-f.size)
	*f = file{}
	return nil
}

// evict deletes the files that were written longest ago, down to nine tenths of the total, so that it is seldom done.
func (l *Logs) evict() error {
	if l.total.Load() <= l.opts.TotalSize {
		return nil
	}
	type candidate struct {
		p    *program
		f    *file
		when time.Time
	}
	var files []candidate
	for _, p := range l.all() {
		p.files.Lock()
		for _, f := range []*file{&p.previous, &p.current} {
			if f.size > 0 {
				files = append(files, candidate{p, f, f.modified})
			}
		}
		p.files.Unlock()
	}
	slices.SortFunc(files, func(a, b candidate) int { return a.when.Compare(b.when) })
	var errs []error
	for _, c := range files {
		if l.total.Load() <= l.opts.TotalSize/10*9 {
			break
		}
		c.p.files.Lock()
		if !c.p.removed {
			errs = append(errs, l.remove(c.p, c.f))
		}
		c.p.files.Unlock()
	}
	return errors.Join(errs...)
}

// stored reads the last n entries of p's files. p.files is held.
func (l *Logs) stored(p *program, n int) ([]Entry, error) {
	var entries []Entry
	for _, f := range []*file{&p.current, &p.previous} {
		if f.size == 0 || len(entries) >= n {
			continue
		}
		text, err := os.ReadFile(l.path(p, f))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read the log of %s: %w", p.name, err)
		}
		entries = slices.Concat(lastEntries(text, n-len(entries)), entries)
	}
	return entries, nil
}

// Names of files: the program's, escaped so that it holds no dot and no slash, and a suffix.
const (
	currentSuffix  = ".log"
	previousSuffix = ".1.log"
)

func (l *Logs) path(p *program, f *file) string {
	suffix := currentSuffix
	if f == &p.previous {
		suffix = previousSuffix
	}
	return filepath.Join(l.dir, strings.ReplaceAll(url.QueryEscape(p.name), ".", "%2E")+suffix)
}

// scan finds the files that are there. Others in the folder are left alone.
func (l *Logs) scan() error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		escaped, suffix, _ := strings.Cut(entry.Name(), ".")
		name, err := url.QueryUnescape(escaped)
		if err != nil || !entry.Type().IsRegular() || "."+suffix != currentSuffix && "."+suffix != previousSuffix {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		p := l.program(name)
		f := &p.current
		if "."+suffix == previousSuffix {
			f = &p.previous
		}
		*f = file{info.Size(), info.ModTime()}
		l.total.Add(info.Size())
	}
	return nil
}
