package usage

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

const (
	prefix = "usage/" // of the database's keys; what follows is the program's id

	// flushAccounts is how many accounts one transaction writes: at some 200 bytes each, a tenth of what it may.
	flushAccounts = 1000
)

// Options of a Meter. The zero value is right for a node.
type Options struct {
	// Records is how many records of a program are kept in memory, some 200 bytes each. The default is 100.
	Records int

	// Interval is the time between two flushes. The default is 1 s.
	Interval time.Duration

	// Log is told when totals cannot be written, and when they can again. The default is slog.Default().
	Log *slog.Logger
}

// Meter holds the accounts of a node's programs and keeps their totals in the database. Its methods may be called at the same time.
type Meter struct {
	db   *kv.DB
	opts Options

	mu       sync.Mutex
	accounts map[string]*Account

	dirty atomic.Pointer[Account] // the list of accounts to write, last marked first

	close    sync.Once
	closeErr error
	stop     chan struct{}
	gone     chan struct{}
}

// Open starts a meter on db, which must stay open until the meter is closed.
func Open(db *kv.DB, opts Options) (*Meter, error) {
	if opts.Records < 0 || opts.Interval < 0 {
		return nil, fmt.Errorf("usage: records %d and interval %v must not be negative", opts.Records, opts.Interval)
	}
	if opts.Records == 0 {
		opts.Records = 100
	}
	if opts.Interval == 0 {
		opts.Interval = time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	m := &Meter{db: db, opts: opts, accounts: make(map[string]*Account), stop: make(chan struct{}), gone: make(chan struct{})}
	go m.run()
	return m, nil
}

// Close writes what is not yet written. Calling it again gives the same result.
func (m *Meter) Close() error {
	m.close.Do(func() {
		close(m.stop)
		<-m.gone
		m.closeErr = m.flush()
	})
	return m.closeErr
}

// Program returns the account of the program with this id, which is the same at every call and for the life of the meter. It
// reads the totals from the database the first time. Ask only for programs that the node knows: each costs some 300 bytes.
func (m *Meter) Program(id string) (*Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.accounts[id]; a != nil {
		return a, nil
	}
	a := &Account{meter: m, id: strings.Clone(id), keep: true}
	err := m.db.View(func(t *kv.Txn) error {
		stored, ok, err := t.Get(prefix + id)
		if err != nil || !ok {
			return err
		}
		return a.totals.decode(stored)
	})
	if err != nil {
		return nil, fmt.Errorf("usage of program %s: %w", id, err)
	}
	m.accounts[a.id] = a
	return a, nil
}

// Remove drops the records of a program that was forgotten, and keeps no more. Its totals stay, and invocations that
// end later still count.
func (m *Meter) Remove(id string) error {
	a, err := m.Program(id)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keep, a.last = false, ring{}
	return nil
}

func (m *Meter) run() {
	defer close(m.gone)
	tick := time.NewTicker(m.opts.Interval)
	defer tick.Stop()
	var failed error
	for {
		select {
		case <-tick.C:
		case <-m.stop:
			return
		}
		err := m.flush()
		switch {
		case err != nil && failed == nil:
			m.opts.Log.Error("usage is not stored, and is lost if the node ends now", "error", err)
		case err == nil && failed != nil:
			m.opts.Log.Info("usage is stored again")
		}
		failed = err
	}
}

// flush writes the totals of the accounts that changed. Those that it cannot write stay on the list.
func (m *Meter) flush() error {
	var accounts []*Account
	for a := m.dirty.Swap(nil); a != nil; a = a.next {
		accounts = append(accounts, a)
	}
	var errs []error
	for some := range slices.Chunk(accounts, flushAccounts) {
		if err := m.write(some); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (m *Meter) write(accounts []*Account) error {
	stored := make([][]byte, len(accounts))
	for i, a := range accounts {
		totals := a.take()
		stored[i] = totals.encode()
	}
	err := m.db.Update(func(t *kv.Txn) error {
		for i, a := range accounts {
			if err := t.Set(prefix+a.id, stored[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return nil
	}
	for _, a := range accounts {
		a.mu.Lock()
		a.mark()
		a.mu.Unlock()
	}
	return fmt.Errorf("store the usage of %d programs: %w", len(accounts), err)
}
