package http

import (
	"errors"
	"log/slog"
	"sync"
	"syscall"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// A watcher notices clients that close their connection while a program works for them: the server reads nothing meanwhile,
// so it would not see it. Connections are put into an epoll set of our own for as long as an invocation waits.
type watcher struct {
	epoll int
	stop  [2]int // a pipe; closing its end for writing ends the loop
	done  chan struct{}
	log   *slog.Logger

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]func()
}

func newWatcher(log *slog.Logger) (*watcher, error) {
	w := &watcher{done: make(chan struct{}), waiting: map[uint64]func(){}, log: log}
	var err error
	if w.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if err = unix.Pipe2(w.stop[:], unix.O_CLOEXEC); err == nil {
		err = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, w.stop[0], &unix.EpollEvent{Events: unix.EPOLLHUP})
	}
	if err != nil {
		unix.Close(w.epoll)
		return nil, err
	}
	go w.loop()
	return w, nil
}

func (w *watcher) close() error {
	err := unix.Close(w.stop[1])
	<-w.done
	return errors.Join(err, unix.Close(w.stop[0]), unix.Close(w.epoll))
}

func (w *watcher) loop() {
	defer close(w.done)
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := unix.EpollWait(w.epoll, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			w.log.Error("clients that go away are not noticed any more", "error", err)
			return
		}
		for _, e := range events[:n] {
			id := uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
			if id == 0 {
				return
			}
			w.mu.Lock()
			gone := w.waiting[id]
			delete(w.waiting, id)
			w.mu.Unlock()
			if gone != nil {
				gone()
			}
		}
	}
}

// caller is the client of a request.
type caller struct {
	watcher *watcher
	ctx     *fasthttp.RequestCtx
}

// Watch calls gone when the client closes its connection.
func (c *caller) Watch(gone func()) (stop func()) {
	conn, ok := c.ctx.Conn().(syscall.Conn)
	if !ok {
		return func() {}
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return func() {}
	}
	w := c.watcher
	w.mu.Lock()
	w.next++
	id := w.next
	w.waiting[id] = gone
	w.mu.Unlock()
	control := func(op int) {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.EpollCtl(w.epoll, op, int(fd), &unix.EpollEvent{
				Events: unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32))})
		})
	}
	control(unix.EPOLL_CTL_ADD)
	return func() {
		w.mu.Lock()
		delete(w.waiting, id)
		w.mu.Unlock()
		control(unix.EPOLL_CTL_DEL)
	}
}
