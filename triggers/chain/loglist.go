package chain

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// A logList is eth_getLogs' answer. Package json takes a third of the time of a backfill for it, so what providers write in the usual way,
// strings without escapes, is read here; anything else is left to that package.
type logList []contractLog

// UnmarshalJSON reads text, which is valid JSON.
func (l *logList) UnmarshalJSON(text []byte) error {
	s := &scanner{rest: text}
	logs := make([]contractLog, 0, len(text)/512)
	for s.next('[', ']') {
		var log contractLog
		for s.next('{', '}') {
			s.field(&log)
		}
		logs = append(logs, log)
	}
	if s.fault {
		return json.Unmarshal(text, (*[]contractLog)(l))
	}
	*l = logs
	return nil
}

// A scanner goes through valid JSON. After a fault everything it gives is zero, and lists end.
type scanner struct {
	rest  []byte
	fault bool
}

func (s *scanner) peek() byte {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\t' || s.rest[0] == '\r') {
		s.rest = s.rest[1:]
	}
	if len(s.rest) == 0 || s.fault {
		return 0
	}
	return s.rest[0]
}

// next goes to the next element of a list or an object; false at its end.
func (s *scanner) next(open, end byte) bool {
	switch c := s.peek(); c {
	case open:
		s.rest = s.rest[1:]
		if s.peek() != end {
			return !s.fault
		}
		s.rest = s.rest[1:]
		return false
	case ',':
		s.rest = s.rest[1:]
		return true
	case end:
		s.rest = s.rest[1:]
		return false
	}
	s.fault = true
	return false
}

// text gives a string as it stands in the JSON.
func (s *scanner) text() []byte {
	if s.peek() != '"' {
		s.fault = true
		return nil
	}
	n := bytes.IndexByte(s.rest[1:], '"')
	if n < 0 || bytes.IndexByte(s.rest[1:1+n], '\\') >= 0 {
		s.fault = true
		return nil
	}
	text := s.rest[1 : 1+n]
	s.rest = s.rest[2+n:]
	return text
}

// field reads a field of a log with its name. Those that are not needed are skipped if they are strings, true, false or null.
func (s *scanner) field(log *contractLog) {
	name := s.text()
	if s.peek() != ':' {
		s.fault = true
		return
	}
	s.rest = s.rest[1:]
	switch string(name) {
	case "address":
		s.fixed(log.Address[:])
	case "blockHash":
		s.fixed(log.BlockHash[:])
	case "transactionHash":
		s.fixed(log.TxHash[:])
	case "blockNumber":
		log.BlockNumber = s.number()
	case "transactionIndex":
		log.TxIndex = s.number()
	case "logIndex":
		log.Index = s.number()
	case "blockTimestamp":
		time := s.number()
		log.BlockTime = &time
	case "topics":
		log.Topics = make([]common.Hash, 0, 4)
		for s.next('[', ']') {
			var topic common.Hash
			s.fixed(topic[:])
			log.Topics = append(log.Topics, topic)
		}
	case "data":
		digits := s.digits()
		log.Data = make([]byte, len(digits)/2)
		if _, err := hex.Decode(log.Data, digits); err != nil {
			s.fault = true
		}
	default:
		if s.peek() == '"' {
			s.text()
			return
		}
		for _, word := range []string{"true", "false", "null"} {
			if rest, found := bytes.CutPrefix(s.rest, []byte(word)); found {
				s.rest = rest
				return
			}
		}
		s.fault = true
	}
}

// digits are those of a string in hex.
func (s *scanner) digits() []byte {
	digits, found := bytes.CutPrefix(s.text(), []byte("0x"))
	if !found {
		s.fault = true
	}
	return digits
}

func (s *scanner) fixed(into []byte) {
	digits := s.digits()
	if len(digits) != 2*len(into) {
		s.fault = true
		return
	}
	if _, err := hex.Decode(into, digits); err != nil {
		s.fault = true
	}
}

func (s *scanner) number() hexutil.Uint64 {
	digits := s.digits()
	if len(digits) > 1 && digits[0] == '0' {
		s.fault = true
	}
	n, err := strconv.ParseUint(string(digits), 16, 64)
	if err != nil {
		s.fault = true
	}
	return hexutil.Uint64(n)
}
