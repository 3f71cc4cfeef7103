package bundle

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// requirements are the packages that a program asks for.
type requirements struct {
	from   string // what asks, as it is called in errors
	file   string // with the requirements in pip's form
	folder string // that the file's relative paths begin at, and in which uv and pip look for their settings
}

// requirements finds what the program asks for: in requirements.txt, else in [project] of pyproject.toml, else, if it is one
// file, in that file's metadata (PEP 723). Nil if nothing is asked for. Files are made in work.
func (s *Source) requirements(all files, work string) (*requirements, error) {
	r := &requirements{folder: s.folder}
	if r.folder == "" {
		r.folder = filepath.Join(work, "app")
	}
	if text, ok := all["requirements.txt"]; ok {
		r.from, r.file = "requirements.txt", filepath.Join(r.folder, "requirements.txt")
		if !asks(string(text)) {
			return nil, nil
		}
		return r, nil
	}
	var lines []string
	var err error
	if text, ok := all["pyproject.toml"]; ok {
		r.from = "pyproject.toml"
		lines, err = projectRequirements(string(text))
	} else if s.files == nil {
		r.from = s.Name
		lines, err = inlineRequirements(string(s.raw))
	}
	if err != nil {
		return nil, &Error{Text: r.from + ": " + err.Error()}
	}
	if len(lines) == 0 {
		return nil, nil
	}
	r.file = filepath.Join(work, "requirements.txt")
	return r, os.WriteFile(r.file, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// asks says whether there is more in a requirements.txt than comments.
func asks(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}

// projectRequirements are [project].dependencies of a pyproject.toml.
func projectRequirements(text string) ([]string, error) {
	var manifest struct {
		Project struct{ Dependencies, Dynamic []string }
	}
	if _, err := toml.Decode(text, &manifest); err != nil {
		return nil, err
	}
	for _, field := range manifest.Project.Dynamic {
		if field == "dependencies" {
			return nil, errors.New("its dependencies are dynamic: put them into a requirements.txt")
		}
	}
	return manifest.Project.Dependencies, nil
}

// inlineBlock is the metadata of a script, as PEP 723 has it.
var inlineBlock = regexp.MustCompile(`(?m)^# /// script\r?$\n((?:^#(?:| .*)\r?$\n)+?)^# ///\r?$`)

// hasInline says whether a file has metadata of its own.
func hasInline(source []byte) bool { return inlineBlock.Match(source) }

// inlineRequirements are the dependencies in a script's metadata.
func inlineRequirements(source string) ([]string, error) {
	block := inlineBlock.FindStringSubmatch(source)
	if block == nil {
		return nil, nil
	}
	var text strings.Builder
	for line := range strings.Lines(block[1]) {
		text.WriteString(strings.TrimPrefix(strings.TrimPrefix(line, "#"), " "))
	}
	var metadata struct{ Dependencies []string }
	_, err := toml.Decode(text.String(), &metadata)
	return metadata.Dependencies, err
}
