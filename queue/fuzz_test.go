package queue

import (
	"reflect"
	"testing"
	"time"
)

// FuzzDecode: what is no record is refused, and what is one is read as it was written.
func FuzzDecode(f *testing.F) {
	s := state{1, "id", 2, "0123456789abcdef", 3, 4, 5, 6, 6, 1, 9, "error", []byte("event")}
	a := active{1, 2, 3, 4, 5}
	l := line{3, 9}
	sums := totals{acknowledged: 1, resultsLow: 1 << 60}
	r := Result{"id", 1, 2, time.Unix(0, 3), []byte("data")}
	for _, b := range [][]byte{s.encode(), a.encode(), l.encode(), sums.encode(), r.encode(), encodeNumber(7), {},
		encodeEvent(&Event{Key: "k", Trigger: "t", Payload: []byte("p"), Depth: 3, Scheduled: time.Unix(7, 0)})} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip(t, b, decodeEvent, func(e *Event) []byte { return encodeEvent(e) })
		roundTrip(t, b, decodeState, (*state).encode)
		roundTrip(t, b, decodeActive, (*active).encode)
		roundTrip(t, b, decodeTotals, (*totals).encode)
		roundTrip(t, b, decodeLine, (*line).encode)
		roundTrip(t, b, decodeResult, (*Result).encode)
		roundTrip(t, b, decodeNumber, func(n *uint64) []byte { return encodeNumber(*n) })
	})
}

func roundTrip[T any](t *testing.T, b []byte, decode func([]byte) (T, error), encode func(*T) []byte) {
	t.Helper()
	v, err := decode(b)
	if err != nil {
		return
	}
	written := encode(&v)
	if w, err := decode(written); err != nil || !reflect.DeepEqual(v, w) || len(written) > len(b) {
		t.Errorf("%x is read as %+v, then as %+v, %v", b, v, w, err)
	}
}
