package wasi

import (
	"encoding/binary"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A call is one of the guest's, with its memory as it is now. What it reads and writes is checked against that.
type call struct {
	*wasm.Call
	memory []byte
}

// bytes is a view of [pointer, pointer+length).
func (c *call) bytes(pointer, length uint64) ([]byte, errno) {
	if pointer+length > uint64(len(c.memory)) { // both are of 32 bits
		return nil, eFAULT
	}
	return c.memory[pointer : pointer+length : pointer+length], 0
}

func (c *call) put32(pointer uint64, v uint32) errno {
	to, e := c.bytes(pointer, 4)
	if e == 0 {
		binary.LittleEndian.PutUint32(to, v)
	}
	return e
}

func (c *call) put64(pointer, v uint64) errno {
	to, e := c.bytes(pointer, 8)
	if e == 0 {
		binary.LittleEndian.PutUint64(to, v)
	}
	return e
}

// vectors walks the buffers of a read or a write, transferMost bytes together at most, once all are known to be within the
// memory. It ends when use, which gives how many bytes of a buffer it took or gave, does not take a whole one. The sum is
// written to result.
func (c *call) vectors(list, count, result uint64, use func(buffer []byte) (int, errno)) errno {
	if count > vectorsMost {
		return eINVAL
	}
	table, e := c.bytes(list, 8*count)
	if e != 0 {
		return e
	}
	if _, e := c.bytes(result, 4); e != 0 {
		return e
	}
	for at := 0; at < len(table); at += 8 {
		if _, e := c.vector(table[at:]); e != 0 {
			return e
		}
	}
	sum := 0
	for at := 0; at < len(table) && sum < transferMost; at += 8 {
		buffer, e := c.vector(table[at:]) // again: a read can write over the table
		if e != 0 {
			return e
		}
		buffer = buffer[:min(len(buffer), transferMost-sum)]
		n, e := use(buffer)
		if e != 0 && sum == 0 {
			return e
		}
		sum += n
		if e != 0 || n < len(buffer) {
			break
		}
	}
	return c.put32(result, uint32(sum))
}

func (c *call) vector(entry []byte) ([]byte, errno) {
	return c.bytes(uint64(binary.LittleEndian.Uint32(entry)), uint64(binary.LittleEndian.Uint32(entry[4:])))
}

// strings writes a list of strings as args_get and environ_get want it: pointers, and what they point to.
func (c *call) strings(pointers, buffer uint64, list []string) errno {
	for _, s := range list {
		to, e := c.bytes(buffer, uint64(len(s)+1))
		if e != 0 {
			return e
		}
		copy(to, s)
		to[len(s)] = 0
		if e := c.put32(pointers, uint32(buffer)); e != 0 {
			return e
		}
		pointers, buffer = pointers+4, buffer+uint64(len(s)+1)
	}
	return 0
}

// sizes writes how many strings there are, and how many bytes.
func (c *call) sizes(count, size uint64, list []string) errno {
	sum := 0
	for _, s := range list {
		sum += len(s) + 1
	}
	if e := c.put32(count, uint32(len(list))); e != 0 {
		return e
	}
	return c.put32(size, uint32(sum))
}
