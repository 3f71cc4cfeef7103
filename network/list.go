package network

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/kv"
)

const (
	defaultPage = 20   // messages, as the network's nodes have it
	maxPage     = 1000 // messages; 0, which there means all, gives as many
	maxListed   = 1000 // values of a list in a query
	maxKeys     = 1000 // aggregates in one answer
)

// page is what every list of the network has beside the listed.
type page struct {
	Page    int     `json:"pagination_page"`
	Total   int     `json:"pagination_total"`
	PerPage int     `json:"pagination_per_page"`
	Item    string  `json:"pagination_item"`
	Time    float64 `json:"time"`

	// StoppedAt is this node's own: the query would have cost too much, so Total and the list are what there is up to this time.
	StoppedAt float64 `json:"stopped_at,omitempty"`
}

// ListMessages answers GET /api/v0/messages.json.
func (h *Handler) ListMessages(ctx *fasthttp.RequestCtx) {
	q, p, err := parseQuery(ctx.QueryArgs(), "contentTypes")
	if err != nil {
		h.fail(ctx, err)
		return
	}
	found, err := h.node.Find(q)
	if err != nil {
		h.fail(ctx, err)
		return
	}
	messages := make([]messageAnswer, 0, len(found.Messages))
	for _, r := range found.Messages {
		messages = append(messages, h.node.answerOf(r.Message))
	}
	writeJSON(ctx, fasthttp.StatusOK, struct {
		Messages []messageAnswer `json:"messages"`
		page
	}{messages, h.finish(p, &found, "messages")})
}

// finish completes a page.
func (h *Handler) finish(p page, found *Found, item string) page {
	p.Total, p.Item, p.Time = found.Total, item, UnixSeconds(h.node.options.Now())
	if !found.Stopped.IsZero() {
		p.StoppedAt = float64(found.Stopped.UnixMicro()) / 1e6
	}
	return p
}

// answerOf is a message with its content, where that is there.
func (n *Node) answerOf(m *Message) messageAnswer {
	answer := messageAnswer{Message: m, Confirmations: []struct{}{}}
	if text, err := n.contentOf(m); err == nil && json.Valid(text) {
		answer.Content, answer.Size = text, len(text)
	}
	return answer
}

// parseQuery reads a list's parameters. kinds is what the parameter of content.type is called. Unknown ones are ignored, as the
// network's nodes do.
func parseQuery(args *fasthttp.Args, kinds string) (*Query, page, error) {
	q := &Query{}
	for _, list := range []struct {
		name   string
		values *[]string
	}{
		{"hashes", &q.Hashes}, {"addresses", &q.Senders}, {"owners", &q.Owners}, {"channels", &q.Channels}, {"chains", &q.Chains},
		{"refs", &q.Refs}, {kinds, &q.Kinds}, {"contentHashes", &q.Files}, {"contentKeys", &q.Keys}, {"tags", &q.Tags},
	} {
		values, err := listOf(args, list.name)
		if err != nil {
			return nil, page{}, err
		}
		*list.values = values
	}
	for _, name := range []string{"msgTypes", "msgType"} {
		values, err := listOf(args, name)
		if err != nil {
			return nil, page{}, err
		}
		for _, value := range values {
			q.Types = append(q.Types, Type(value))
		}
	}
	numbers := map[string]float64{"startDate": 0, "endDate": 0, "sortOrder": -1, "pagination": defaultPage, "page": 1}
	for name := range numbers {
		text := string(args.Peek(name))
		if text == "" {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(value) || value < 0 && name != "sortOrder" || value > 9e9 {
			return nil, page{}, reject(CodeInvalidFormat, name, "%q is not a number that it takes", shorten(text))
		}
		numbers[name] = value
	}
	q.From, q.Until = seconds(numbers["startDate"]), seconds(numbers["endDate"])
	if !q.Until.IsZero() && q.Until.Before(q.From) {
		return nil, page{}, reject(CodeInvalidFormat, "endDate", "is before startDate")
	}
	q.OldFirst = numbers["sortOrder"] == 1
	q.Limit = min(int(numbers["pagination"]), maxPage)
	if q.Limit == 0 {
		q.Limit = maxPage
	}
	number := max(int(numbers["page"]), 1)
	q.Skip = min(number-1, effort) * q.Limit
	return q, page{Page: number, PerPage: q.Limit}, nil
}

// listOf is a parameter whose values are separated by commas.
func listOf(args *fasthttp.Args, name string) ([]string, error) {
	text := string(args.Peek(name))
	if text == "" {
		return nil, nil
	}
	values := strings.Split(text, ",")
	return values, checkCount(name, len(values), maxListed)
}

// postAnswer is a post as the network's nodes list it: what its latest amend made of it, and where it comes from.
type postAnswer struct {
	messageAnswer
	Content           json.RawMessage `json:"content"` // of the content
	Type              string          `json:"type"`    // of the content
	Ref               string          `json:"ref,omitempty"`
	Address           string          `json:"address"`
	Hash              string          `json:"hash"`
	OriginalHash      string          `json:"original_item_hash"`
	OriginalSignature string          `json:"original_signature"`
	OriginalType      string          `json:"original_type"`
}

// ListPosts answers GET /api/v0/posts.json.
func (h *Handler) ListPosts(ctx *fasthttp.RequestCtx) {
	q, p, err := parseQuery(ctx.QueryArgs(), "types")
	if err != nil {
		h.fail(ctx, err)
		return
	}
	q.Types, q.NoAmends = []Type{TypePost}, true
	found, err := h.node.Find(q)
	if err != nil {
		h.fail(ctx, err)
		return
	}
	posts := make([]postAnswer, 0, len(found.Messages))
	for _, r := range found.Messages {
		post, err := h.node.postOf(r)
		if err != nil {
			h.fail(ctx, err)
			return
		}
		posts = append(posts, post)
	}
	writeJSON(ctx, fasthttp.StatusOK, struct {
		Posts []postAnswer `json:"posts"`
		page
	}{posts, h.finish(p, &found, "posts")})
}

// postOf is a post with its latest amend.
func (n *Node) postOf(r *Record) (answer postAnswer, err error) {
	var first, last Post
	if err := n.readContent(r.Message, &first); err != nil {
		return answer, err
	}
	latest := r.Message
	last = first
	amends, err := n.Find(&Query{Types: []Type{TypePost}, Refs: []string{r.Message.ItemHash}, Kinds: []string{"amend"}, Owners: []string{r.Owner}, Limit: 1})
	if err != nil {
		return answer, err
	}
	if len(amends.Messages) > 0 {
		latest = amends.Messages[0].Message
		if err := n.readContent(latest, &last); err != nil {
			return answer, err
		}
	}
	return postAnswer{
		messageAnswer: n.answerOf(latest), Content: last.Content, Type: last.Type, Ref: first.Ref, Address: first.Address,
		Hash: r.Message.ItemHash, OriginalHash: r.Message.ItemHash, OriginalSignature: r.Message.Signature, OriginalType: first.Type,
	}, nil
}

// GetAggregates answers GET /api/v0/aggregates/{address}.json: an owner's objects, those of the parameter keys or all.
func (h *Handler) GetAggregates(ctx *fasthttp.RequestCtx, address string) {
	keys, err := listOf(ctx.QueryArgs(), "keys")
	if err == nil && keys == nil {
		keys, err = h.node.aggregateKeys(address)
	}
	data := map[string]map[string]json.RawMessage{}
	for _, key := range keys {
		object, found, readErr := h.node.Aggregate(address, key)
		if readErr != nil {
			err = readErr
			break
		}
		if found {
			data[key] = object
		}
	}
	switch {
	case err != nil:
		h.fail(ctx, err)
	case len(data) == 0:
		h.fail(ctx, reject(CodeNotFound, "", "%s has no such aggregate here", shorten(address)))
	default:
		writeJSON(ctx, fasthttp.StatusOK, map[string]any{"address": address, "data": data, "info": struct{}{}})
	}
}

// aggregateKeys are the keys of an owner's aggregates: what one message of each says.
func (n *Node) aggregateKeys(owner string) (keys []string, err error) {
	err = n.db.View(func(tx *kv.Txn) error {
		prefix := keyRoot + "aggregate/" + addressKey(owner) + "/"
		for record, err := range tx.Iterate(prefix, "") {
			if err != nil {
				return err
			}
			if len(keys) == maxKeys {
				return nil
			}
			var state aggregateState
			if err := json.Unmarshal(record.Value, &state); err != nil {
				return fmt.Errorf("record %s: %w", record.Key, err)
			}
			for _, value := range state {
				r, found, err := load[Record](tx, messageKey(value.From))
				if err != nil || !found {
					return notThere(err, messageKey(value.From))
				}
				var c Aggregate
				if err := n.readContent(r.Message, &c); err != nil {
					return err
				}
				keys = append(keys, c.Key)
				break
			}
		}
		return nil
	})
	return keys, err
}
