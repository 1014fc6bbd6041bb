package shape

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsVariableByItsLookIsMasked(t *testing.T) {
	for _, tt := range []struct{ text, masked, codes string }{
		{"request took 41.2ms", "request took <num>", ""},
		{"retry 3 of 5 in 1.5s (12%)", "retry <num> of <num> in <num> (<num>)", ""},
		{"exit code 137: engine transport closed", "exit code 137: engine transport closed", "code 137"},
		{"worker exit_code=0 pid=4711", "worker exit_code=0 pid=<num>", "exit_code 0"},
		{"status:503 after 20ms", "status:503 after <num>", "status 503"},
		{"GET /v1/models HTTP 200", "GET /v1/models HTTP 200", "http 200"},
		{"port 54321, code 54321", "port <num>, code <num>", ""},
		{"conn 10.0.0.7:443 closed", "conn <num> closed", ""},
		{"id=550e8400-e29b-41d4-a716-446655440000 done", "id=<id> done", ""},
		{"req_8f3a91c2 at 0xdeadbeef", "<id> at <id>", ""},
		{`user "42" deleted; face added`, `user "<num>" deleted; face added`, ""},
		{"deploy v2 of w1", "deploy v2 of w1", ""}, // left to Drain
		{"", "", ""},
	} {
		masked, codes := Mask(tt.text)
		if masked != tt.masked || codes != tt.codes {
			t.Errorf("%q:\n got %q, %q\nwant %q, %q", tt.text, masked, codes, tt.masked, tt.codes)
		}
	}
}

func lines(texts ...string) []Line {
	var all []Line
	for _, text := range texts {
		masked, codes := Mask(text)
		all = append(all, Line{Kind: codes, Text: masked})
	}
	return all
}

func TestLinesThatDifferInTheirVariablesAreOneShape(t *testing.T) {
	got := Group(lines(
		"worker w1 started in 20ms",
		"exit code 137: engine transport closed",
		"worker w2 started in 21ms",
		"exit code 0: engine transport closed",
		"connection to db refused by peer",
		"worker w3 started in 22ms",
		"exit code 137: engine transport closed",
	))
	want := []Shape{
		{"worker <*> started in <num>", []int{0, 2, 5}},
		{"exit code 137: engine transport closed", []int{1, 6}},
		{"exit code 0: engine transport closed", []int{3}},
		{"connection to db refused by peer", []int{4}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEachLineIsInOneShape(t *testing.T) {
	var texts []string
	for i := range 5000 { // more shapes than are kept, and words that look like Drain's own
		texts = append(texts, fmt.Sprintf("%s <*> %s : size={1} : id={2} %s", strings.Repeat("w ", i%9), word(i), word(i/3)))
	}
	seen := map[int]bool{}
	for _, s := range Group(lines(texts...)) {
		for _, i := range s.Lines {
			if seen[i] {
				t.Fatalf("line %d is in two shapes", i)
			}
			seen[i] = true
		}
	}
	if len(seen) != len(texts) {
		t.Errorf("%d of %d lines are in a shape", len(seen), len(texts))
	}
}

// word is a word without digits.
func word(i int) string {
	return strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(i))
}

// FuzzMask holds that a mask is bounded, valid and on one line, that masking
// again changes nothing, and that grouping takes whatever it gives.
func FuzzMask(f *testing.F) {
	for _, text := range []string{"exit code 137: closed", "a=1 b:2 c==3", "((((1))))", "\xff\x00 0x", "=: := <num>", "code 5 code 5", "-1 +2 -", "日本 12", strings.Repeat("x", 500)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		masked, codes := Mask(text)
		if !utf8.ValidString(masked) || strings.ContainsAny(masked, "\n\r") || len(masked) > mostWords*(4*mostWord) {
			t.Errorf("%q: %q", text, masked)
		}
		if again, same := Mask(masked); len(masked) < mostWord && utf8.ValidString(text) && (again != masked || same != codes) {
			t.Errorf("%q: %q and again %q; %q, %q", text, masked, again, codes, same)
		}
		if got := Group([]Line{{codes, masked}, {codes, masked}}); len(got) != 1 || len(got[0].Lines) != 2 {
			t.Errorf("%q: the same line twice is %v", text, got)
		}
	})
}
