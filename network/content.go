package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// content is a message's content: one of *Store, *Program, *Forget, *Post and *Aggregate.
type content interface {
	owner() string
	writtenAt() float64
	check() error // of the fields' values; a *Rejection
}

func (c *Store) owner() string     { return c.Address }
func (c *Program) owner() string   { return c.Address }
func (c *Forget) owner() string    { return c.Address }
func (c *Post) owner() string      { return c.Address }
func (c *Aggregate) owner() string { return c.Address }

func (c *Store) writtenAt() float64     { return c.Time }
func (c *Program) writtenAt() float64   { return c.Time }
func (c *Forget) writtenAt() float64    { return c.Time }
func (c *Post) writtenAt() float64      { return c.Time }
func (c *Aggregate) writtenAt() float64 { return c.Time }

// DecodeMessage reads a message's envelope. The error is a *Rejection. Keys that it does not know are ignored, as nodes
// hand messages out with more (content, size, confirmations).
func DecodeMessage(text []byte) (*Message, error) {
	var message Message
	if err := decode(text, "message", &message); err != nil {
		return nil, err
	}
	return &message, nil
}

// checkEnvelope checks everything that needs neither the content nor the signature.
func (m *Message) checkEnvelope(now time.Time) error {
	if err := checkText("channel", m.Channel, 0, MaxChannel); err != nil {
		return err
	}
	if err := checkText("sender", m.Sender, 1, MaxAddress); err != nil {
		return err
	}
	if len(m.Signature) > MaxSignature {
		return reject(CodeTooLarge, "signature", "%d bytes, the limit is %d", len(m.Signature), MaxSignature)
	}
	switch m.Type {
	case TypeStore, TypeProgram, TypeForget, TypePost, TypeAggregate:
	default:
		return reject(CodeUnsupported, "type", "%q is not a type that this node takes", shorten(string(m.Type))).
			hint("STORE, PROGRAM, FORGET, POST or AGGREGATE")
	}
	switch m.ItemType {
	case ItemInline:
		if len(m.ItemContent) > MaxInline {
			return reject(CodeTooLarge, "item_content", "%d bytes, the limit is %d", len(m.ItemContent), MaxInline).
				hint(`send the content to /api/v0/storage/add_json and the message with item_type "storage"`)
		}
	case ItemStorage:
		if m.ItemContent != "" {
			return reject(CodeInvalidFormat, "item_content", `must be absent when item_type is "storage"`)
		}
	case ItemIPFS:
		return reject(CodeUnsupported, "item_type", "contents on IPFS are not fetched by this node").
			hint(`use item_type "inline" or "storage"`)
	default:
		return reject(CodeInvalidFormat, "item_type", `%q is not "inline", "storage" or "ipfs"`, shorten(string(m.ItemType)))
	}
	if !IsStorageHash(m.ItemHash) {
		return reject(CodeInvalidFormat, "item_hash", "%q is not a SHA-256 in lower-case hex", shorten(m.ItemHash))
	}
	return checkTime("time", m.Time, now)
}

// decodeContent reads and checks a content of the given type.
func decodeContent(messageType Type, text []byte, now time.Time) (content, error) {
	var c content
	switch messageType {
	case TypeStore:
		c = new(Store)
	case TypeProgram:
		c = newProgram()
	case TypeForget:
		c = new(Forget)
	case TypePost:
		c = new(Post)
	default:
		c = new(Aggregate)
	}
	if err := decode(text, "content", c); err != nil {
		return nil, err
	}
	if err := checkText("content.address", c.owner(), 1, MaxAddress); err != nil {
		return nil, err
	}
	if err := checkTime("content.time", c.writtenAt(), now); err != nil {
		return nil, err
	}
	return c, c.check()
}

// newProgram has what the network takes for fields that are left out.
func newProgram() *Program {
	return &Program{
		Resources: Resources{VCPUs: defaultVCPUs, Memory: defaultMemory, Seconds: defaultSeconds},
		Runtime:   Runtime{UseLatest: true},
	}
}

func (c *Store) check() error {
	if c.ItemType != ItemStorage {
		return reject(CodeUnsupported, "content.item_type", "files of item_type %q are not kept by this node", shorten(string(c.ItemType))).
			hint(`upload the file with storage engine "storage"`)
	}
	if !IsStorageHash(c.ItemHash) {
		return reject(CodeInvalidFormat, "content.item_hash", "%q is not a SHA-256 in lower-case hex", shorten(c.ItemHash))
	}
	if c.Ref != "" {
		if err := checkHash("content.ref", c.Ref); err != nil {
			return err
		}
	}
	return checkCount("content.metadata", len(c.Metadata), MaxMetadata)
}

func (c *Program) check() error {
	if c.Type != ProgramKind {
		return reject(CodeInvalidFormat, "content.type", "%q is not %q", shorten(c.Type), ProgramKind)
	}
	return firstError(
		checkCount("content.metadata", len(c.Metadata), MaxMetadata),
		c.checkName(),
		c.On.check(),
		checkRange("content.resources.vcpus", c.Resources.VCPUs, MaxVCPUs, ""),
		checkRange("content.resources.memory", c.Resources.Memory, MaxMemory, "MiB"),
		checkRange("content.resources.seconds", c.Resources.Seconds, MaxSeconds, "seconds"),
		checkText("content.runtime.ref", c.Runtime.Ref, 1, MaxName),
		checkText("content.code.entrypoint", c.Code.Entrypoint, 1, MaxEntrypoint),
		checkHash("content.code.ref", c.Code.Ref),
		c.Code.check(),
		c.checkVariables(),
		c.checkReplaces(),
	)
}

func (c *Program) checkName() error {
	value, named := c.Metadata["name"]
	if !named {
		return nil
	}
	name, isText := value.(string)
	if !isText {
		return reject(CodeInvalidFormat, "content.metadata.name", "must be a string")
	}
	return checkText("content.metadata.name", name, 1, MaxName)
}

func (c *Program) checkVariables() error {
	if err := checkCount("content.variables", len(c.Variables), MaxVariables); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Variables)) {
		value := c.Variables[name]
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return reject(CodeInvalidFormat, "content.variables", "%q: a name must not be empty or contain =, and neither may contain NUL", shorten(name))
		}
	}
	return nil
}

func (c *Program) checkReplaces() error {
	if c.Replaces == "" || IsStorageHash(c.Replaces) {
		return nil
	}
	return reject(CodeInvalidFormat, "content.replaces", "%q is not a program's id", shorten(c.Replaces))
}

func (o *On) check() error {
	if o.Persistent {
		return reject(CodeUnsupported, "content.on.persistent", "programs that run all the time are not served by this node")
	}
	if err := checkCount("content.on.message", len(o.Message), MaxFilters); err != nil {
		return err
	}
	for i, filter := range o.Message {
		if err := checkCount(fmt.Sprintf("content.on.message[%d]", i), len(filter), MaxFilterKeys); err != nil {
			return err
		}
	}
	return nil
}

func (c *Code) check() error {
	switch c.Encoding {
	case "plain", "zip":
	case "squashfs":
		return reject(CodeUnsupported, "content.code.encoding", "squashfs is not read by this node yet").hint("use zip or plain")
	default:
		return reject(CodeInvalidFormat, "content.code.encoding", "%q is not plain, zip or squashfs", shorten(c.Encoding))
	}
	switch c.Interface {
	case "", "asgi", "binary":
		return nil
	}
	return reject(CodeInvalidFormat, "content.code.interface", "%q is not asgi or binary", shorten(c.Interface))
}

func (c *Forget) check() error {
	if len(c.Aggregates) > 0 {
		return reject(CodeUnsupported, "content.aggregates", "whole aggregates are not forgotten by this node").
			hint("name the AGGREGATE messages in hashes")
	}
	if len(c.Hashes) == 0 {
		return reject(CodeInvalidFormat, "content.hashes", "names nothing to forget")
	}
	if err := checkCount("content.hashes", len(c.Hashes), MaxForget); err != nil {
		return err
	}
	for i, hash := range c.Hashes {
		if err := checkHash(fmt.Sprintf("content.hashes[%d]", i), hash); err != nil {
			return err
		}
	}
	return nil
}

func (c *Post) check() error {
	if err := checkText("content.type", c.Type, 1, MaxName); err != nil {
		return err
	}
	if c.Type == "amend" && c.Ref == "" {
		return reject(CodeInvalidFormat, "content.ref", "an amend must name the post that it changes")
	}
	return nil
}

func (c *Aggregate) check() error {
	if c.Content == nil {
		return reject(CodeInvalidFormat, "content.content", "must be an object")
	}
	return checkText("content.key", c.Key, 1, MaxName)
}

// decode reads a JSON object into a struct. Its errors name the field by its path below root.
func decode(text []byte, root string, target any) error {
	err := json.Unmarshal(text, target)
	if mismatch := (*json.UnmarshalTypeError)(nil); errors.As(err, &mismatch) {
		field := root
		if mismatch.Field != "" {
			field += "." + mismatch.Field
		}
		return reject(CodeInvalidFormat, field, "must be %s, not %s", jsonName(mismatch.Type), mismatch.Value)
	}
	if err != nil {
		return reject(CodeInvalidFormat, root, "is not valid JSON: %v", err)
	}
	return checkKeys(text, reflect.TypeOf(target), root)
}

// strict are the objects in which the network forbids keys that it does not know.
var strict = map[reflect.Type]bool{reflect.TypeFor[Program](): true, reflect.TypeFor[On](): true}

// checkKeys refuses keys that differ from a field's name in case only, which encoding/json would take for it while
// other nodes would not, and in strict objects all that are unknown. text is valid JSON.
func checkKeys(text []byte, form reflect.Type, path string) error {
	if form.Kind() == reflect.Pointer {
		form = form.Elem()
	}
	var object map[string]json.RawMessage
	if form.Kind() != reflect.Struct || json.Unmarshal(text, &object) != nil || object == nil {
		return nil
	}
	fields := make(map[string]reflect.Type, form.NumField())
	for i := range form.NumField() {
		name, _, _ := strings.Cut(form.Field(i).Tag.Get("json"), ",")
		fields[name] = form.Field(i).Type
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		value := object[key]
		if field, known := fields[key]; known {
			if err := checkKeys(value, field, path+"."+key); err != nil {
				return err
			}
			continue
		}
		if strict[form] {
			return reject(CodeInvalidFormat, path, "has the unknown key %q", shorten(key))
		}
		for name := range fields { // at most one matches
			if strings.EqualFold(name, key) {
				return reject(CodeInvalidFormat, path, "has the unknown key %q; did you mean %q?", shorten(key), name)
			}
		}
	}
	return nil
}

// jsonName is what JSON calls the values of a Go type.
func jsonName(form reflect.Type) string {
	switch form.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "an integer"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "an array"
	}
	return "an object"
}

// checkText checks a text's length in bytes and that it can be shown: valid UTF-8 without control characters.
func checkText(field, text string, least, most int) error {
	switch {
	case len(text) < least:
		return reject(CodeInvalidFormat, field, "is missing or empty")
	case len(text) > most:
		return reject(CodeTooLarge, field, "%d bytes, the limit is %d", len(text), most)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return reject(CodeInvalidFormat, field, "%q has control characters", shorten(text))
	}
	return nil
}

func checkCount(field string, count, most int) error {
	if count > most {
		return reject(CodeTooLarge, field, "%d entries, the limit is %d", count, most)
	}
	return nil
}

func checkRange(field string, value, most int, unit string) error {
	if 1 <= value && value <= most {
		return nil
	}
	return reject(CodeLimit, field, "%s", strings.TrimSpace(fmt.Sprintf("%d is outside 1 to %d %s", value, most, unit)))
}

func checkTime(field string, seconds float64, now time.Time) error {
	if seconds <= 0 {
		return reject(CodeInvalidFormat, field, "must be Unix seconds, more than 0")
	}
	if latest := now.Add(MaxAhead); seconds > UnixSeconds(latest) {
		return reject(CodeLimit, field, "%.3f is more than %v ahead of the node's clock", seconds, MaxAhead).hint("set the clock")
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
