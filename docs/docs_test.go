package docs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/aleph-edge/aleph-edge/internal/cli" // the binary is built from them: a change runs the tests again
	_ "github.com/aleph-edge/aleph-edge/node"
)

// The documents' commands are run, each document from top to bottom in one shell, against a node of its own:
//
//   - a block of sh is run; what a block of text right below it shows is compared with its output, white space aside. In
//     it "…", the digits before it, and times stand for anything. A block without output shown must succeed. Above a block that cannot be run here stands
//     <!-- not run: why -->.
//   - a block of code below a line that is only a file's name, as `hello.js`:, is that file.
//
// The node listens elsewhere than at documented, which the commands are told; home, data and working folder are temporary.
const documented = "127.0.0.1:4020"

func TestReadme(t *testing.T) {
	s := newSite(t)
	s.startChain()
	s.startByMakeRun()
	s.run("../README.md")
}

func TestFunctions(t *testing.T) {
	s := newSite(t)
	s.startNode()
	s.run("functions.md")
}

func TestPython(t *testing.T) {
	s := newSite(t)
	s.startNode()
	s.run("python.md")
}

func TestRuntimes(t *testing.T) {
	s := newSite(t)
	sdks, err := filepath.Abs("../sdk-guests")
	if err == nil {
		err = os.Symlink(sdks, filepath.Join(s.folder, "sdk-guests"))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.startNode()
	s.run("runtimes.md")
}

func TestTriggers(t *testing.T) {
	s := newSite(t)
	s.startNode("--chain", "DEV=http://"+s.startChain()+",confirmations=0")
	s.run("triggers.md")
}

func TestOperating(t *testing.T) {
	s := newSite(t)
	s.startNode()
	s.run("operating.md")
}

// TestRunTwice runs "make run", beside that where its address is taken, and once more.
func TestRunTwice(t *testing.T) {
	s := newSite(t)
	examples, err := filepath.Glob("../examples/*")
	if err != nil {
		t.Fatal(err)
	}
	examples = slices.DeleteFunc(examples, func(folder string) bool { // those that ask for packages are not deployed
		_, err := os.Stat(filepath.Join(folder, "requirements.txt"))
		return err == nil
	})
	if len(examples) == 0 {
		t.Fatal("no examples")
	}
	stop := s.startByMakeRun()
	beside := exec.Command("../scripts/run")
	beside.Env = s.env
	if output, err := beside.CombinedOutput(); err == nil || !strings.Contains(string(output), "error: the address "+s.address+" is in use") {
		t.Errorf("with the address in use: %v\n%s", err, output)
	}
	first := stop()
	again := s.startByMakeRun()()
	for name, text := range map[string]string{"first": first, "again": again} {
		if n := strings.Count(text, "  curl \"http://"+s.address+"/"); n != len(examples) {
			t.Errorf("%s: %d lines to paste for %d examples:\n%s", name, n, len(examples), text)
		}
	}
	if n := strings.Count(first, "nothing to change"); n != 0 {
		t.Errorf("the first time:\n%s", first)
	}
	if n := strings.Count(again, "nothing to change"); n != len(examples) {
		t.Errorf("again:\n%s", again)
	}
}

// patience is how long anything is waited for.
const patience = 2 * time.Minute

// A site is a user's machine: a home, a working folder, a node, a shell.
type site struct {
	*testing.T
	folder, address string
	env             []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	t.Parallel()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{T: t, folder: t.TempDir(), address: listener.Addr().String()}
	listener.Close()
	// Go's own folders are looked for below HOME, which is about to change.
	for _, name := range []string{"GOENV", "GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY"} {
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		s.env = append(s.env, name+"="+strings.TrimSpace(string(value)))
	}
	home := filepath.Join(s.folder, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	s.env = append(s.env, "HOME="+home, "PATH="+os.Getenv("PATH"), "TZ=UTC", "LC_ALL=C.UTF-8", "ALEPH_API_HOST=http://"+s.address,
		"BIN="+filepath.Join(s.folder, "bin"), "LISTEN="+s.address, "DATA="+filepath.Join(s.folder, "data"))
	return s
}

// startNode builds aleph and starts a node.
func (s *site) startNode(args ...string) {
	s.Helper()
	binary := filepath.Join(s.folder, "bin", "aleph")
	build := exec.Command("go", "build", "-o", binary, "../cmd/aleph")
	build.Env = s.env
	if out, err := build.CombinedOutput(); err != nil {
		s.Fatalf("go build: %v\n%s", err, out)
	}
	s.env = append(s.env, "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	if cache := os.Getenv("ALEPH_CACHE"); cache != "" { // at the place where the documents show it
		data := filepath.Join(s.folder, "home", ".local", "state", "aleph")
		if err := errors.Join(os.MkdirAll(cache, 0o700), os.MkdirAll(data, 0o700), os.Symlink(cache, filepath.Join(data, "engines"))); err != nil {
			s.Fatal(err)
		}
	}
	s.start("  address  ", binary, append([]string{"node", "--listen", s.address}, args...)...)
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/api/v0/node", nil)
		if err != nil {
			s.Fatal(err)
		}
		reply, err := http.DefaultClient.Do(request)
		if err == nil {
			reply.Body.Close()
			return
		}
		if ctx.Err() != nil {
			s.Fatalf("the node does not answer: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// startChain builds aleph-dev-chain and starts it, elsewhere than at its default address.
func (s *site) startChain() (address string) {
	s.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.Fatal(err)
	}
	address = listener.Addr().String()
	listener.Close()
	binary := filepath.Join(s.folder, "bin", "aleph-dev-chain")
	build := exec.Command("go", "build", "-o", binary, "../cmd/aleph-dev-chain")
	build.Env = s.env
	if out, err := build.CombinedOutput(); err != nil {
		s.Fatalf("go build: %v\n%s", err, out)
	}
	s.env = append(s.env, "ALEPH_DEV_CHAIN="+address)
	s.start("development chain", binary)
	return address
}

// startByMakeRun does what "make run" does, with the node where this site is.
func (s *site) startByMakeRun() (stop func() string) {
	s.Helper()
	return s.start("Ctrl-C stops the node.", "../scripts/run")
}

// start starts what stays, and waits until it prints the text. stop, which the test's end calls if nobody did, stops it as Ctrl-C
// does, which must end it well, and gives what it printed.
func (s *site) start(ready, name string, args ...string) (stop func() string) {
	s.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		s.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, writer, writer
	err = cmd.Start()
	writer.Close()
	if err != nil {
		s.Fatal(err)
	}
	var printed bytes.Buffer
	found, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		defer reader.Close()
		lines := bufio.NewScanner(reader)
		for waiting := true; lines.Scan(); {
			fmt.Fprintln(&printed, lines.Text())
			if waiting && strings.HasPrefix(lines.Text(), ready) {
				close(found)
				waiting = false
			}
		}
	}()
	stop = sync.OnceValue(func() string {
		_ = cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); err != nil {
			s.Errorf("%s: %v", name, err)
		}
		<-over
		return printed.String()
	})
	s.Cleanup(func() {
		if text := stop(); s.Failed() {
			s.Logf("%s printed:\n%s", name, text)
		}
	})
	select {
	case <-found:
	case <-over:
		s.Fatalf("%s ended early", name)
	case <-time.After(patience):
		s.Fatalf("%s is not ready", name)
	}
	return stop
}

// A block is a fenced block of a document.
type block struct {
	language, text string
	line           int    // of the fence
	above          string // the nearest line above that is not blank
	adjacent       bool   // that line is the fence of the block before
}

func blocks(document string) []block {
	var found []block
	var current *block
	above := ""
	for i, line := range strings.Split(document, "\n") {
		switch fence, isFence := strings.CutPrefix(line, "```"); {
		case isFence && current == nil:
			current = &block{language: fence, line: i + 1, above: above, adjacent: above == "```"}
		case isFence:
			found = append(found, *current)
			current, above = nil, "```"
		case current != nil:
			current.text += line + "\n"
		case strings.TrimSpace(line) != "":
			above = line
		}
	}
	return found
}

var fileName = regexp.MustCompile("^`([\\w.-]+)`:$")

// run runs a document.
func (s *site) run(document string) {
	s.Helper()
	source, err := os.ReadFile(document)
	if err != nil {
		s.Fatal(err)
	}
	sh := s.shell()
	all := blocks(string(source))
	ran := 0
	for i, b := range all {
		place := fmt.Sprintf("%s:%d", filepath.Base(document), b.line)
		if name := fileName.FindStringSubmatch(b.above); name != nil {
			if err := os.WriteFile(filepath.Join(s.folder, name[1]), []byte(b.text), 0o600); err != nil {
				s.Fatal(err)
			}
		}
		if b.language != "sh" || strings.HasPrefix(b.above, "<!-- not run: ") {
			continue
		}
		ran++
		output, status := sh(strings.ReplaceAll(b.text, documented, s.address))
		if i+1 < len(all) && all[i+1].language == "text" && all[i+1].adjacent {
			shown := strings.ReplaceAll(all[i+1].text, documented, s.address)
			if !matches(shown, output) {
				s.Errorf("%s: the output is\n%s\nwhere the document shows\n%s", place, output, shown)
			}
			if failed := strings.Contains(shown, "error: "); failed != (status != 0) {
				s.Errorf("%s: exit status %d\n%s", place, status, output)
			}
		} else if status != 0 {
			s.Errorf("%s: exit status %d\n%s", place, status, output)
		}
	}
	if ran == 0 {
		s.Errorf("%s has no block of sh that is run", document)
	}
}

// wild is what of a shown output stands for anything.
var wild = regexp.MustCompile(`[0-9a-f]*…|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*`)

// matches compares what a document shows with what came, white space aside.
func matches(shown, output string) bool {
	parts := wild.Split(shown, -1)
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(squeeze(part))
	}
	return regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(squeeze(output))
}

func squeeze(text string) string { return strings.Join(strings.Fields(text), "") }

// shell starts a shell and returns what runs a text in it, giving its output and exit status. What one text sets, the next
// one sees.
func (s *site) shell() func(text string) (string, int) {
	s.Helper()
	cmd := exec.Command("bash")
	cmd.Dir, cmd.Env, cmd.Stderr = s.folder, s.env, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		s.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	answers := bufio.NewReader(out)
	text, output := filepath.Join(s.folder, ".text"), filepath.Join(s.folder, ".output")
	return func(command string) (string, int) {
		if err := os.WriteFile(text, []byte(command), 0o600); err != nil {
			s.Fatal(err)
		}
		if _, err := io.WriteString(in, ". ./.text >.output 2>&1 </dev/null; echo $?\n"); err != nil {
			s.Fatal(err)
		}
		var status int
		if _, err := fmt.Fscanln(answers, &status); err != nil {
			s.Fatalf("the shell ended: %v\n%s", err, command)
		}
		printed, err := os.ReadFile(output)
		if err != nil {
			s.Fatal(err)
		}
		return string(printed), status
	}
}
