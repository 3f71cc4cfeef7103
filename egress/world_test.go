package egress

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names is a DNS server whose answers a test sets: for each name the lists of addresses that it gives, one after the other,
// the last one for good. A name with no list is not known; one with an empty list is never answered.
type names struct {
	testing.TB
	conn net.PacketConn

	mu      sync.Mutex
	answers map[string][][]netip.Addr
	asked   map[string]int
	clients []net.Conn // of the resolver, which goes on asking after its caller has gone
	closed  bool
}

func newNames(t testing.TB) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{TB: t, conn: conn, answers: map[string][][]netip.Addr{}, asked: map[string]int{}}
	var served sync.WaitGroup
	served.Go(n.serve)
	t.Cleanup(func() {
		conn.Close()
		served.Wait()
		n.mu.Lock()
		defer n.mu.Unlock()
		n.closed = true
		for _, client := range n.clients {
			client.Close()
		}
	})
	return n
}

func (n *names) set(name string, answers ...[]netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[name] = answers
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.closed {
			return nil, net.ErrClosed
		}
		var d net.Dialer
		client, err := d.DialContext(ctx, "udp", n.conn.LocalAddr().String())
		n.clients = append(n.clients, client)
		return client, err
	}}
}

func (n *names) serve() {
	packet := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(packet)
		if err != nil {
			return
		}
		if answer := n.answer(packet[:size]); answer != nil {
			_, _ = n.conn.WriteTo(answer, from)
		}
	}
}

// answer answers a query (RFC 1035, section 4) for A or AAAA records.
func (n *names) answer(query []byte) []byte {
	at := 12
	var labels []string
	for query[at] != 0 {
		labels = append(labels, string(query[at+1:at+1+int(query[at])]))
		at += 1 + int(query[at])
	}
	name, kind := strings.ToLower(strings.Join(labels, ".")), binary.BigEndian.Uint16(query[at+1:])
	question := query[12 : at+5]
	n.mu.Lock()
	lists, known := n.answers[name]
	var addresses []netip.Addr
	silent := known && len(lists) == 0
	if len(lists) > 0 {
		// Both kinds are asked for at once: they see the same list.
		addresses = lists[min(n.asked[name]/2, len(lists)-1)]
		n.asked[name]++
	}
	n.mu.Unlock()
	if silent {
		return nil
	}
	const typeA, typeAAAA = 1, 28
	var records []byte
	count := uint16(0)
	for _, a := range addresses {
		if a.Is4() != (kind == typeA) || kind != typeA && kind != typeAAAA {
			continue
		}
		records = append(records, 0xc0, 12)
		records = binary.BigEndian.AppendUint16(records, kind)
		records = append(records, 0, 1, 0, 0, 0, 0)
		records = binary.BigEndian.AppendUint16(records, uint16(a.BitLen()/8))
		records = append(records, a.AsSlice()...)
		count++
	}
	flags := uint16(0x8580)
	if !known {
		flags |= 3
	}
	b := append([]byte(nil), query[:2]...)
	for _, v := range []uint16{flags, 1, count, 0, 0} {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return append(append(b, question...), records...)
}

// newClient makes a client that allows the rules.
func newClient(t testing.TB, config Config, rules ...string) *Client {
	t.Helper()
	var errs []error
	if config.Allow, errs = ParseAllow(rules); errs != nil {
		t.Fatal(errs)
	}
	c := New(config)
	t.Cleanup(c.Close)
	return c
}

func newServer(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

// authority makes certificates.
type authority struct {
	testing.TB
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{TB: t}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.key = key
	return a
}

func (a *authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// server starts one with a certificate for the name, until the time.
func (a *authority) server(name string, until time.Time, http2 bool, handler http.HandlerFunc) *httptest.Server {
	a.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		a.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = http2
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	a.Cleanup(s.Close)
	return s
}

// port is a server's.
func port(s *httptest.Server) string {
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return port
}

// get requests a URL.
func get(p *Program, url string) (*Response, string, error) {
	return send(p, &Request{Method: "GET", URL: url})
}

func send(p *Program, r *Request) (*Response, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if r.Traffic == nil {
		r.Traffic = &Traffic{}
	}
	resp, err := p.Do(ctx, r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// fails checks that an error is of that status and begins so.
func fails(t testing.TB, err error, status uint32, text string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Status != status || !strings.HasPrefix(e.Text, text) {
		t.Errorf("got %#v, want %d %s", err, status, text)
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
