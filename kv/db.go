package kv

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/skl"
)

// Badger's sizes, chosen for a node that has better uses for its memory: at most three tables of 16 MiB in memory, no caches
// (without compression, blocks are read from the page cache as they are).
const (
	memTableSize = 16 << 20

	// MaxTransaction is how much one Update may write, keys and values, in bytes: 15% of a memtable, which is Badger's rule.
	MaxTransaction = memTableSize * 15 / 100

	// maxWrites is how many keys one Update may write, by Badger's rule.
	maxWrites = MaxTransaction / skl.MaxNodeSize

	// MaxRecord is the longest value of a record, in bytes: what Badger keeps in its tree.
	MaxRecord = maxInline
)

// Options of a DB. The zero value is right for a node.
type Options struct {
	// InMemory keeps everything in memory; dir must be empty. For tests and trials. The default is false.
	InMemory bool

	// MinFree is the free disk space, in bytes, below which nothing is written: Badger dies where its memory-mapped files meet
	// a full disk, and compaction needs room. The default is 512 MiB.
	MinFree uint64

	// Log receives Badger's errors. The default is slog.Default().
	Log *slog.Logger

	// Now is the clock that Stores' entries expire by. The default is time.Now.
	Now func() time.Time
}

// DB is the node's database. Its methods may be called at the same time.
type DB struct {
	badger  *badger.DB
	dir     string // empty in memory
	minFree uint64
	now     func() time.Time
	log     *slog.Logger
	writer  *writer
	hub     *hub

	// life is held for reading by whoever uses badger, whose memory maps vanish when it closes. Close takes it for good, so
	// that enter fails from then on.
	life   sync.RWMutex
	failed atomic.Pointer[Error] // the write that Badger failed, if any

	close    sync.Once
	closeErr error
}

// Open opens the database in dir, which is made if it is not there. It fails with ErrInUse when the folder is open already.
func Open(dir string, opts Options) (*DB, error) {
	if opts.InMemory != (dir == "") {
		return nil, fail(ErrInvalidArgument, "data folder: %q with in_memory %t; give one of the two", dir, opts.InMemory)
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.MinFree == 0 {
		opts.MinFree = 512 << 20
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	removeEmpty(dir)
	bdb, err := badger.Open(badgerOptions(dir, opts))
	if err != nil {
		if locked(dir) {
			return nil, fail(ErrInUse, "data folder %s is in use by another process%s", dir, holder(dir))
		}
		return nil, fmt.Errorf("open the database in %q: %w", dir, err)
	}
	db := &DB{badger: bdb, dir: dir, minFree: opts.MinFree, now: opts.Now, hub: newHub(), log: opts.Log}
	db.writer, err = startWriter(db)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the database in %q: %w", dir, err), bdb.Close())
	}
	return db, nil
}

func badgerOptions(dir string, opts Options) badger.Options {
	o := badger.DefaultOptions(dir)
	o.InMemory = opts.InMemory
	o.Logger = errorLog{opts.Log}
	o.MetricsEnabled = false
	o.SyncWrites = true
	o.MemTableSize = memTableSize
	o.NumMemtables = 2
	o.NumCompactors = 2
	o.Compression = options.None
	o.BlockCacheSize = 0
	o.ValueThreshold = maxInline + 1
	o.ValueLogFileSize = 2 << 20 // the log stays empty
	return o
}

// Close waits for what is under way, ends every watch and closes the database. Calling it again gives the same result.
func (db *DB) Close() error {
	db.close.Do(func() {
		db.hub.close()
		db.life.Lock()
		db.writer.close()
		db.closeErr = db.badger.Close()
	})
	return db.closeErr
}

// enter keeps the database open until leave; false means that it is closed or closing.
func (db *DB) enter() bool { return db.life.TryRLock() }
func (db *DB) leave()      { db.life.RUnlock() }

// writable says why nothing may be written now: nil if it may.
func (db *DB) writable() error {
	if failed := db.failed.Load(); failed != nil {
		return failed
	}
	if db.dir == "" {
		return nil
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(db.dir, &fs); err != nil {
		return fail(ErrUnavailable, "disk: %v", err)
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < db.minFree {
		return fail(ErrUnavailable, "disk: %d MiB free in the node's data folder, limit %d MiB", free>>20, db.minFree>>20)
	}
	return nil
}

// writeFailed ends all writing if err says that Badger could not write or sync: see the package comment.
func (db *DB) writeFailed(err error) *Error {
	e := fail(ErrUnavailable, "the database failed to write and takes no more until the node restarts: %v", err)
	db.failed.CompareAndSwap(nil, e)
	return e
}

// locked tells whether someone holds Badger's lock on dir. Badger's own error says so in prose only.
func locked(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// removeEmpty removes a database's empty logs: Badger makes a log before it gives it a size, takes one without a size for a
// fault, and a process that is killed in between leaves one. Nothing was ever written to it. Where someone holds the lock, or
// there is no database yet, there is nothing to do.
func removeEmpty(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return
	}
	entries, _ := f.ReadDir(-1) // what is not listed, or not removed, Badger complains of
	for _, entry := range entries {
		info, err := entry.Info()
		if ext := filepath.Ext(entry.Name()); err == nil && info.Mode().IsRegular() && info.Size() == 0 && (ext == ".mem" || ext == ".vlog") {
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
}

// holder names the process that Badger noted in its lock file, as " (pid 12)".
func holder(dir string) string {
	pid, err := os.ReadFile(filepath.Join(dir, "LOCK"))
	if err != nil || len(pid) == 0 {
		return ""
	}
	return " (pid " + strings.TrimSpace(string(pid)) + ")"
}

// errorLog passes on Badger's errors and drops the rest.
type errorLog struct{ log *slog.Logger }

func (l errorLog) Errorf(format string, args ...any) {
	l.log.Error("badger: " + strings.TrimSpace(fmt.Sprintf(format, args...)))
}
func (errorLog) Warningf(string, ...any) {}
func (errorLog) Infof(string, ...any)    {}
func (errorLog) Debugf(string, ...any)   {}
