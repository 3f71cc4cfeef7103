package wasi

import (
	"encoding/binary"
	"math"
	"time"
)

const (
	subscriptionSize = 48
	eventSize        = 32

	pollClock = 0
	pollRead  = 1
	pollWrite = 2
)

// poll waits until one of the subscriptions has happened. Descriptors are always ready: a file is, and standard input and output
// wait when they are read and written.
func (p *process) poll(c *call) errno {
	in, out, count, result := c.Args[0], c.Args[1], c.Args[2], c.Args[3]
	if count == 0 || count > pollMost {
		return eINVAL
	}
	subscriptions, e := c.bytes(in, count*subscriptionSize)
	if e != 0 {
		return e
	}
	events, e := c.bytes(out, count*eventSize)
	if e != 0 {
		return e
	}
	if _, e := c.bytes(result, 4); e != 0 {
		return e
	}
	waited := c.Result != nil
	for {
		// Events may lie over subscriptions, so all are read before one is written.
		list := make([]event, 0, min(count, 16))
		left := time.Duration(math.MaxInt64)
		for at := 0; at < len(subscriptions); at += subscriptionSize {
			ev, wait := p.look(c, subscriptions[at:], waited)
			if left = min(left, wait); wait <= 0 {
				list = append(list, ev)
			}
		}
		if len(list) == 0 {
			p.slept = left
			asked, ok := c.Sleep(left)
			if !ok {
				return eAGAIN
			}
			if asked {
				return 0
			}
			waited = true
			continue
		}
		for i, ev := range list {
			ev.put(events[i*eventSize:])
		}
		return c.put32(result, uint32(len(list)))
	}
}

type event struct {
	userdata uint64
	errno    errno
	kind     byte
	bytes    uint64
}

func (ev event) put(b []byte) {
	clear(b[:eventSize])
	binary.LittleEndian.PutUint64(b, ev.userdata)
	binary.LittleEndian.PutUint16(b[8:], uint16(ev.errno))
	b[10] = ev.kind
	binary.LittleEndian.PutUint64(b[16:], ev.bytes)
}

// look gives a subscription's event, and how long it is until then.
func (p *process) look(c *call, s []byte, waited bool) (event, time.Duration) {
	ev := event{userdata: binary.LittleEndian.Uint64(s), kind: s[8]}
	switch ev.kind {
	case pollClock:
		clock, timeout := binary.LittleEndian.Uint32(s[16:]), binary.LittleEndian.Uint64(s[24:])
		if clock > 1 {
			ev.errno = eNOTSUP // nobody can wait for the time on CPU
			return ev, 0
		}
		if binary.LittleEndian.Uint16(s[40:])&absoluteTime == 0 {
			if timeout == 0 || waited && timeout <= uint64(p.slept) {
				return ev, 0
			}
			return ev, time.Duration(min(timeout, math.MaxInt64))
		}
		now := unixNow()
		if clock == 1 {
			now = uint64(c.Clock())
		}
		if timeout <= now {
			return ev, 0
		}
		return ev, time.Duration(min(timeout-now, math.MaxInt64))
	case pollRead, pollWrite:
		need := rightFdRead
		if ev.kind == pollWrite {
			need = rightFdWrite
		}
		fd, e := p.fd(uint64(binary.LittleEndian.Uint32(s[16:])), need)
		if ev.errno = e; e == 0 && fd.node != nil && ev.kind == pollRead {
			ev.bytes = fd.node.size() - min(fd.offset, fd.node.size())
		}
	default:
		ev.errno = eINVAL
	}
	return ev, 0
}
