package broker

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aleph-edge/aleph-edge/triggers/message"
)

// DefaultInFlight is how many messages of a Source are with programs at a time, and MaxInFlight how many can be.
const (
	DefaultInFlight = 64
	MaxInFlight     = 1000
)

// A Source is where messages come from. It is never printed with its credentials.
type Source struct {
	Kind    string // nats or mqtt
	Address string // host:port
	TLS     bool
	CA      string // file of the certificates, PEM, that the broker's is signed by; empty: those of the system
	Topic   string // what its messages are posted to

	// InFlight is how many of its messages are with programs at a time.
	InFlight int

	Stream, Consumer string // of NATS; the consumer is made if it is not there
	Subject          string // which of the stream's messages; empty for all
	Credentials      string // file of a NATS user's credentials; may be empty

	Filter string // of MQTT: which topics, as in sensors/+/temperature
	QoS    byte   // 0, where nothing is promised, or 1
	Client string // what the broker knows the session by; empty: the node's own name

	user     string // or token, if there is no password
	password string
}

// Hint is how a Source is written.
const Hint = `nats://HOST:4222?stream=ORDERS&consumer=aleph&subject=orders.>&topic=orders, or mqtt://HOST:1883/orders/#?topic=orders; ` +
	`nats+tls and mqtts for TLS`

// Parse reads a Source's URL. Errors do not repeat what may be a password.
//
//	nats://USER:PASSWORD@HOST:PORT?stream=S&consumer=C&subject=orders.>&topic=T      nats+tls:// for TLS; TOKEN@ instead of USER:PASSWORD@
//	mqtt://USER:PASSWORD@HOST:PORT/FILTER?qos=1&client=C&topic=T                     mqtts:// for TLS
//
// Both take inflight=N and ca=FILE, NATS credentials=FILE. Only stream, topic and MQTT's filter are required.
func Parse(text string) (Source, error) {
	u, err := url.Parse(strings.ReplaceAll(text, "#", "%23")) // MQTT's wildcard; a URL's fragment means nothing here
	if err != nil || u.Host == "" || u.Opaque != "" {
		return Source{}, fmt.Errorf("it is not a URL with a host")
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Source{}, fmt.Errorf("what is behind the ? cannot be read")
	}
	s := Source{Topic: values.Get("topic"), CA: values.Get("ca"), InFlight: DefaultInFlight, user: u.User.Username()}
	s.password, _ = u.User.Password()
	known := []string{"topic", "ca", "inflight"}
	switch u.Scheme {
	case "nats", "nats+tls":
		s.Kind, s.TLS, s.Address = "nats", u.Scheme == "nats+tls", address(u, "4222")
		known = append(known, "stream", "consumer", "subject", "credentials")
		err = s.parseNATS(u, values)
	case "mqtt", "mqtts":
		s.Kind, s.TLS, s.Address = "mqtt", u.Scheme == "mqtts", address(u, "1883")
		if s.TLS {
			s.Address = address(u, "8883")
		}
		known = append(known, "qos", "client")
		err = s.parseMQTT(u, values)
	default:
		return Source{}, fmt.Errorf("the scheme must be nats, nats+tls, mqtt or mqtts")
	}
	if err != nil {
		return Source{}, err
	}
	for name, of := range values {
		if !slices.Contains(known, name) || len(of) != 1 {
			return Source{}, fmt.Errorf("%.40q is given %d times; known are, once each: %s", name, len(of), strings.Join(known, ", "))
		}
	}
	if !isName(s.Topic, ":.") || len(s.Topic) > message.MaxTopic {
		return Source{}, fmt.Errorf("topic is required: what programs hear, up to %d letters, digits and _ - . :, as in topic=orders", message.MaxTopic)
	}
	if text := values.Get("inflight"); text != "" {
		if s.InFlight, err = strconv.Atoi(text); err != nil || s.InFlight < 1 || s.InFlight > MaxInFlight {
			return Source{}, fmt.Errorf("inflight: %.40q, must be 1 to %d", text, MaxInFlight)
		}
	}
	return s, nil
}

// isName: letters, digits, _ and -, and some more.
func isName(s, more string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || strings.IndexByte(more, c) >= 0) {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

func address(u *url.URL, port string) string {
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func (s *Source) parseNATS(u *url.URL, values url.Values) error {
	s.Stream, s.Consumer, s.Subject, s.Credentials = values.Get("stream"), values.Get("consumer"), values.Get("subject"), values.Get("credentials")
	if s.Consumer == "" {
		s.Consumer = "aleph-" + strings.NewReplacer(".", "-", ":", "-").Replace(s.Topic)
	}
	if !isName(s.Stream, "") {
		return fmt.Errorf("stream is required: letters, digits and _ -, as in stream=ORDERS")
	}
	if !isName(s.Consumer, "") {
		return fmt.Errorf("consumer: letters, digits and _ - only")
	}
	if u.Path != "" && u.Path != "/" {
		return fmt.Errorf("a NATS URL has no path; subject=%s says which messages", "orders.>")
	}
	return nil
}

func (s *Source) parseMQTT(u *url.URL, values url.Values) error {
	s.Filter, s.Client, s.QoS = strings.TrimPrefix(u.Path, "/"), values.Get("client"), 1
	if s.Filter == "" || len(s.Filter) > 65535 {
		return fmt.Errorf("the filter of topics is required as the path, as in mqtt://HOST/orders/#")
	}
	switch qos := values.Get("qos"); qos {
	case "", "1":
	case "0":
		s.QoS = 0
	default:
		return fmt.Errorf("qos: %.40q, must be 0 or 1", qos)
	}
	return nil
}

// String is the source without its credentials.
func (s Source) String() string {
	scheme := s.Kind
	if s.Kind == "nats" {
		if s.TLS {
			scheme += "+tls"
		}
		return fmt.Sprintf("%s://%s stream %s consumer %s", scheme, s.Address, s.Stream, s.Consumer)
	}
	if s.TLS {
		scheme += "s"
	}
	return fmt.Sprintf("%s://%s/%s", scheme, s.Address, s.Filter)
}

// GoString is String, for %#v.
func (s Source) GoString() string { return s.String() }

// Format is String, for all that fmt can do: %+v would print the fields.
func (s Source) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }
