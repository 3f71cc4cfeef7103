package usage

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"math/bits"
	"strings"
)

// Totals are the sums of a program's records.
type Totals struct {
	Invocations uint64
	Errors      uint64
	MemoryTime  Uint128 // bytes x nanoseconds
	CPU         Uint128 // nanoseconds
	Wall        Uint128 // nanoseconds: 10,000 waiting guests would fill 64 bits in three weeks
	EgressBytes uint64
	StoreOps    uint64

	// Since format 2.
	Fetches      uint64
	InboundBytes uint64
}

// Add adds a record.
func (t *Totals) Add(r *Record) {
	t.Invocations++
	if r.ErrorClass != "" {
		t.Errors++
	}
	t.MemoryTime.add(r.memoryTime())
	t.CPU.add(Uint128{Lo: nanoseconds(r.CPU)})
	t.Wall.add(Uint128{Lo: nanoseconds(r.Wall)})
	t.EgressBytes += r.EgressBytes()
	t.StoreOps += r.StoreOps()
	t.Fetches += r.Fetches
	t.InboundBytes += r.InboundBytes
}

// Report is a program's usage as it is answered over HTTP (docs/http.md). Its decimals are exact.
type Report struct {
	Invocations uint64      `json:"invocations"`
	Errors      uint64      `json:"errors"`
	GBSeconds   json.Number `json:"gb_seconds"`
	CPUMillis   json.Number `json:"cpu_ms"`
	WallMillis  json.Number `json:"wall_ms"`
	EgressBytes uint64      `json:"egress_bytes"`
	Fetches     uint64      `json:"fetches"`
	Inbound     uint64      `json:"inbound_bytes"`
	StoreOps    uint64      `json:"store_ops"`
	Records     []Record    `json:"records,omitzero"` // oldest first; nil where none were asked for
}

func (t *Totals) report() Report {
	return Report{
		Invocations: t.Invocations, Errors: t.Errors, GBSeconds: t.MemoryTime.gbSeconds(), CPUMillis: t.CPU.millis(),
		WallMillis: t.Wall.millis(), EgressBytes: t.EgressBytes, Fetches: t.Fetches, Inbound: t.InboundBytes, StoreOps: t.StoreOps,
	}
}

// The stored form: a byte for the format, then the fields of Totals in their order, as little-endian 64-bit numbers. Format 1
// ends before the last two, which are then 0.
const (
	totalsFormat = 2
	sinceFormat2 = 2 * 8 // bytes
)

func (t *Totals) encode() []byte {
	b, err := binary.Append([]byte{totalsFormat}, binary.LittleEndian, t)
	if err != nil {
		panic(err) // Totals has a field of no fixed size
	}
	return b
}

func (t *Totals) decode(b []byte) error {
	if size := binary.Size(t); len(b) == 1+size-sinceFormat2 && b[0] == 1 {
		b = append(append([]byte{totalsFormat}, b[1:]...), make([]byte, sinceFormat2)...)
	} else if len(b) != 1+size || b[0] != totalsFormat {
		return fmt.Errorf("totals: %d bytes that are not of format %d", len(b), totalsFormat)
	}
	_, err := binary.Decode(b[1:], binary.LittleEndian, t)
	return err
}

// Uint128 is Hi x 2^64 + Lo.
type Uint128 struct{ Hi, Lo uint64 }

func (u *Uint128) add(v Uint128) {
	var carry uint64
	u.Lo, carry = bits.Add64(u.Lo, v.Lo, 0)
	u.Hi += v.Hi + carry
}

// Big is u as a big integer.
func (u Uint128) Big() *big.Int {
	b := new(big.Int).SetUint64(u.Hi)
	return b.Lsh(b, 64).Or(b, new(big.Int).SetUint64(u.Lo))
}

// millis is u nanoseconds in milliseconds.
func (u Uint128) millis() json.Number { return decimal(u.Big(), 6) }

// gbSeconds is u bytes x nanoseconds in GiB x seconds. It is exact: dividing by 2^30 is multiplying by 5^30 and moving
// the point 30 places.
func (u Uint128) gbSeconds() json.Number {
	fives := new(big.Int).Exp(big.NewInt(5), big.NewInt(30), nil)
	return decimal(fives.Mul(fives, u.Big()), 30+9)
}

// decimal is n / 10^places.
func decimal(n *big.Int, places int) json.Number {
	digits := n.String()
	if missing := places + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - places
	return json.Number(strings.TrimSuffix(strings.TrimRight(digits[:point]+"."+digits[point:], "0"), "."))
}
