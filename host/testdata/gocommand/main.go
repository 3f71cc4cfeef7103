// A command as Go's compiler makes it for wasip1, without a word of this project.
package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	fmt.Print("Content-Type: text/plain\n\n")
	data, err := os.ReadFile("data.txt")
	must(err)
	must(os.MkdirAll("/tmp/d/e", 0o755))
	must(os.WriteFile("/tmp/d/a", []byte("written"), 0o600))
	must(os.Rename("/tmp/d/e", "/tmp/d/b"))
	written, err := os.ReadFile("/tmp/d/a")
	must(err)
	var names []string
	entries, err := os.ReadDir("/tmp/d")
	must(err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	begun := time.Now()
	time.Sleep(5 * time.Millisecond)
	if time.Since(begun) < 5*time.Millisecond {
		panic("time goes too slowly")
	}
	body, err := io.ReadAll(os.Stdin)
	must(err)
	fmt.Printf("%s, %s, %s, %v, slept, %s", os.Getenv("GREETING"), data, written, names, body)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
