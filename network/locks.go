package network

import (
	"slices"
	"sync"
)

// keyLocks are mutexes with names. What must not be processed at the same time takes the same names: a message, a file, the
// code that programs follow, a program.
//
// Deadlock is impossible by order: whoever holds a name of one class only waits for names of a later one, and names of
// one class are taken together, sorted (see the classes below). The exception is a FORGET, which holds its own message
// and waits for those that it forgets: these are never FORGETs.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]*keyLock
}

type keyLock struct {
	sync.Mutex
	users int // holding or waiting
}

// The classes of names, in the order in which they are taken.
const (
	lockMessage = "message/" // an item hash
	lockFile    = "file/"    // a file's hash
	lockCode    = "code/"    // the item hash of the first STORE of a file
	lockProgram = "program/" // a program's id
)

// lock waits for all the names of one class and returns the function that gives them back.
func (l *keyLocks) lock(class string, names ...string) (unlock func()) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for _, name := range names {
		l.enter(class + name).Lock()
	}
	return func() {
		for _, name := range names {
			l.leave(class + name)
		}
	}
}

func (l *keyLocks) enter(name string) *keyLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(map[string]*keyLock)
	}
	lock := l.held[name]
	if lock == nil {
		lock = new(keyLock)
		l.held[name] = lock
	}
	lock.users++
	return lock
}

func (l *keyLocks) leave(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lock := l.held[name]
	lock.Unlock()
	if lock.users--; lock.users == 0 {
		delete(l.held, name)
	}
}
