package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aleph-edge/aleph-edge/triggers"
)

// Limits of a declaration.
const (
	MaxFilters = 64 // of a program
	MaxTopics  = 64

	MaxKeys   = 32      // of one filter, at all depths together
	MaxDepth  = 8       // of objects and lists in a filter
	MaxList   = 100     // values that one filter names, at all depths together
	MaxFilter = 8 << 10 // bytes of one filter as JSON
	MaxOrder  = 128     // bytes of a field's path
)

// fields are what a message has.
var fields = []string{"chain", "channel", "content", "item_hash", "item_type", "sender", "time", "type"}

// A pattern is a filter, or a part of one: a string, float64 or bool, nil, an object or an anyOf.
type pattern any

type object []field // by name

type field struct {
	name string
	is   pattern
}

type anyOf []pattern

// same is a scalar in the one form in which it is compared: addresses in lower case, numbers as float64. A number that is none stays
// a json.Number, which equals no pattern.
func same(value any) any {
	switch v := value.(type) {
	case string:
		if len(v) == 42 && v[0] == '0' && v[1] == 'x' && strings.ContainsAny(v, "ABCDEF") && isHex(v[2:]) {
			return strings.ToLower(v)
		}
	case json.Number:
		if n, err := strconv.ParseFloat(string(v), 64); err == nil {
			return n
		}
	}
	return value
}

func isHex(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

func isScalar(is pattern) bool {
	switch is.(type) {
	case object, anyOf:
		return false
	}
	return true
}

// matches tells whether a message's value, nil where there is none, matches a pattern.
func matches(is pattern, value any) bool {
	if some, ok := is.(anyOf); ok {
		for _, one := range some {
			if matches(one, value) {
				return true
			}
		}
		return false
	}
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			if matches(is, element) {
				return true
			}
		}
		return false
	case map[string]any:
		fields, ok := is.(object)
		for _, f := range fields {
			if !matches(f.is, value[f.name]) {
				return false
			}
		}
		return ok
	}
	if _, ok := is.(object); ok {
		return false
	}
	return is == same(value)
}

// decode reads JSON. Numbers are float64, but where one is too large for it: there they stay as they are written.
func decode(text []byte) (value any, err error) {
	if json.Unmarshal(text, &value) == nil {
		return value, nil
	}
	value = nil
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

// compile makes a pattern of a filter. text is the same for filters that mean the same.
func compile(filter map[string]any) (is pattern, text string, err error) {
	written, err := json.Marshal(filter) // its keys are sorted
	if err != nil {
		return nil, "", fmt.Errorf("cannot be written as JSON: %w", err)
	}
	if filter == nil {
		written = []byte("{}")
	}
	if len(written) > MaxFilter {
		return nil, "", fmt.Errorf("%d bytes of JSON, the limit is %d", len(written), MaxFilter)
	}
	value, err := decode(written)
	if err != nil {
		return nil, "", err
	}
	c := compiler{}
	if is, err = c.pattern("", value, 0); err != nil {
		return nil, "", err
	}
	return is, string(written), nil
}

// compiler counts what a filter has.
type compiler struct{ keys, values int }

func (c *compiler) pattern(path string, value any, depth int) (pattern, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("%s: nested deeper than %d", path, MaxDepth)
	}
	switch value := value.(type) {
	case map[string]any:
		if c.keys += len(value); c.keys > MaxKeys {
			return nil, fmt.Errorf("%d keys, the limit is %d", c.keys, MaxKeys)
		}
		is := make(object, 0, len(value))
		for _, name := range slices.Sorted(maps.Keys(value)) {
			below, err := c.pattern(strings.TrimPrefix(path+"."+name, "."), value[name], depth+1)
			if err != nil {
				return nil, err
			}
			is = append(is, field{name, below})
		}
		return is, nil
	case []any:
		if len(value) == 0 {
			return nil, fmt.Errorf("%s: an empty list, which nothing matches", path)
		}
		is := make(anyOf, 0, len(value))
		for _, one := range value {
			below, err := c.pattern(path, one, depth+1)
			if err != nil {
				return nil, err
			}
			is = append(is, below)
		}
		return is, nil
	}
	if c.values++; c.values > MaxList {
		return nil, fmt.Errorf("%d values, the limit is %d", c.values, MaxList)
	}
	value = same(value)
	if number, ok := value.(json.Number); ok {
		return nil, fmt.Errorf("%s: %.40s is too large a number", path, number)
	}
	return value, nil
}

// Check says what is wrong with a declaration's messages and topics, as a *triggers.Error.
func Check(d *triggers.Declaration) error {
	if len(d.Messages) > MaxFilters {
		return triggers.Errorf("messages", "%d entries, the limit is %d", len(d.Messages), MaxFilters)
	}
	for i := range d.Messages {
		if err := checkMessage(fmt.Sprintf("messages[%d]", i), &d.Messages[i]); err != nil {
			return err
		}
	}
	if len(d.Topics) > MaxTopics {
		return triggers.Errorf("topics", "%d entries, the limit is %d", len(d.Topics), MaxTopics)
	}
	named := map[string]bool{}
	for i, topic := range d.Topics {
		at := fmt.Sprintf("topics[%d].topic", i)
		if err := checkTopic(topic.Topic); err != nil {
			return &triggers.Error{Field: at, Text: err.Message, Hint: err.Hint}
		}
		if named[topic.Topic] {
			return triggers.Errorf(at, "%q is there twice", topic.Topic)
		}
		named[topic.Topic] = true
	}
	return nil
}

func checkMessage(at string, m *triggers.Message) error {
	is, _, err := compile(m.Filter)
	if err != nil {
		return &triggers.Error{Field: at + ".filter", Text: err.Error()}
	}
	for _, f := range is.(object) {
		if !slices.Contains(fields, f.name) {
			return &triggers.Error{Field: at + ".filter", Text: fmt.Sprintf("%.40q is no field of a message", f.name),
				Hint: "the fields are " + strings.Join(fields, ", ") + "; what a message says is below content"}
		}
		if f.name == "content" && isScalar(f.is) {
			return &triggers.Error{Field: at + ".filter.content", Text: "must be an object", Hint: `as {"content":{"type":"chat"}}`}
		}
	}
	if _, ok := cheapest(is, "", nil); !ok && len(is.(object)) > 0 {
		return &triggers.Error{Field: at + ".filter", Text: "names no value that a message must have",
			Hint: "name one that is not null, or none at all for every message"}
	}
	return checkOrder(at+".order", m.Order)
}

func checkOrder(at, order string) error {
	if order == "" {
		return nil
	}
	path := strings.Split(order, ".")
	if len(order) > MaxOrder || len(path) > MaxDepth || slices.Contains(path, "") || !slices.Contains(fields, path[0]) || order == "content" {
		return &triggers.Error{Field: at, Text: fmt.Sprintf("%.40q is not the path of a message's field", order), Hint: "as sender, or content.ref"}
	}
	return nil
}

// orderKey is the value of a message's field, as text; empty where there is none, or no scalar.
func orderKey(order string, document any) string {
	for name := range strings.SplitSeq(order, ".") {
		fields, ok := document.(map[string]any)
		if !ok {
			return ""
		}
		document = fields[name]
	}
	switch value := same(document).(type) {
	case string:
		return value
	case float64:
		return strconv.FormatFloat(value, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(value)
	}
	return ""
}
