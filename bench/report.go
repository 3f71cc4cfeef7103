package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// report collects a run's rows.
type report struct {
	Machine []fact   `json:"machine"`
	Rows    []row    `json:"rows"`
	Errors  []string `json:"errors,omitempty"`

	section string // of the rows being added
}

// fact is one line about the machine and the versions compared.
type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// row is one figure of the node, beside another server's where there is one.
type row struct {
	Section string   `json:"section"`
	What    string   `json:"what"`
	Unit    string   `json:"unit"`
	Aleph   float64  `json:"aleph"`
	Than    string   `json:"than,omitempty"`  // the other server
	Other   *float64 `json:"other,omitempty"` // its figure
	Ratio   *float64 `json:"ratio,omitempty"` // median of the pairs' ratios, aleph / other
	Wanted  string   `json:"wanted,omitempty"`
	Met     *bool    `json:"met,omitempty"`
	Note    string   `json:"note,omitempty"`
}

// bound is what a row is wanted to be: its ratio if it has one, else its figure.
type bound struct {
	op    string // "≥", "≤", "<" or "="
	limit float64
}

// none wants nothing: the figure is stated.
var none = bound{}

func (b bound) String() string {
	return b.op + " " + strconv.FormatFloat(b.limit, 'f', -1, 64)
}

func (b bound) met(v float64) bool {
	switch b.op {
	case "≥":
		return v >= b.limit
	case "≤":
		return v <= b.limit
	case "<":
		return v < b.limit
	default:
		return v == b.limit
	}
}

// value adds a row with a figure of the node alone.
func (r *report) value(what, unit string, v float64, want bound, note string) {
	w := row{Section: r.section, What: what, Unit: unit, Aleph: v, Note: note}
	w.judge(want, v)
	r.Rows = append(r.Rows, w)
}

// compareSeries adds the rows of two targets' throughput and CPU time. Bounds hold for the pinned run; the other is stated.
func (r *report) compareSeries(what string, pin bool, a series, than string, b series, rps, cpu bound) {
	how := "pinned"
	if !pin {
		how, rps, cpu = "unpinned", none, none
	}
	r.compare(what+", throughput, "+how, "requests/s", a.rps, than, b.rps, rps)
	if pin {
		// Far from 100 %, the load and not the server would be the limit.
		r.Rows[len(r.Rows)-1].Note += fmt.Sprintf("; server's core busy %.0f %%, %s's %.0f %%", a.busy(), than, b.busy())
	}
	r.compare(what+", server CPU, "+how, "µs/request", a.cpu, than, b.cpu, cpu)
}

// compare adds a row with the medians of two alternating series and the median ratio of their pairs.
func (r *report) compare(what, unit string, aleph []float64, than string, other []float64, want bound) {
	ratios := make([]float64, len(aleph))
	for i := range aleph {
		ratios[i] = aleph[i] / other[i]
	}
	o, ratio := median(other), median(ratios)
	note := fmt.Sprintf("median of %d; ratios %.2f–%.2f", len(ratios), slices.Min(ratios), slices.Max(ratios))
	w := row{Section: r.section, What: what, Unit: unit, Aleph: median(aleph), Than: than, Other: &o, Ratio: &ratio, Note: note}
	w.judge(want, ratio)
	r.Rows = append(r.Rows, w)
}

func (w *row) judge(want bound, v float64) {
	if want == none {
		return
	}
	met := want.met(v)
	w.Wanted, w.Met = want.String(), &met
}

func (r *report) fail(errs []error) {
	for _, err := range errs {
		r.Errors = append(r.Errors, err.Error())
	}
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// writeTable prints the report as a Markdown table, padded to be read as it is.
func (r *report) writeTable(w io.Writer) error {
	var b strings.Builder
	for _, f := range r.Machine {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	cells := [][]string{{"section", "what", "aleph", "unit", "compared with", "ratio", "wanted", "met", "note"}}
	for _, w := range r.Rows {
		than, ratio, met := "", "", ""
		if w.Other != nil {
			than, ratio = w.Than+" "+figure(*w.Other), fmt.Sprintf("%.2f", *w.Ratio)
		}
		if w.Met != nil {
			met = map[bool]string{true: "yes", false: "NO"}[*w.Met]
		}
		cells = append(cells, []string{w.Section, w.What, figure(w.Aleph), w.Unit, than, ratio, w.Wanted, met, w.Note})
	}
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	rightAligned := []bool{false, false, true, false, false, true, false, false, false}
	b.WriteString("\n")
	for i, line := range cells {
		for j, c := range line {
			pad := strings.Repeat(" ", widths[j]-utf8.RuneCountInString(c))
			if rightAligned[j] {
				c = pad + c
			} else {
				c += pad
			}
			b.WriteString("| " + c + " ")
		}
		b.WriteString("|\n")
		if i > 0 {
			continue
		}
		for j := range line {
			rule := strings.Repeat("-", widths[j]+2)
			if rightAligned[j] {
				rule = rule[1:] + ":"
			}
			b.WriteString("|" + rule)
		}
		b.WriteString("|\n")
	}
	for _, e := range r.Errors {
		fmt.Fprintf(&b, "\nerror: %s\n", e)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// figure formats v with three significant digits or as a whole number with thousands separated.
func figure(v float64) string {
	if a := math.Abs(v); a < 100 && v != math.Trunc(v) {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// median is the middle of values, the mean of the middle two if their number is even.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// percentile is the smallest of sorted values that p percent of them do not exceed.
func percentile[T any](sorted []T, p float64) T {
	i := int(math.Ceil(p/100*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}
