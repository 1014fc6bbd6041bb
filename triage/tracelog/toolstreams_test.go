package tracelog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tagsOf reads text that comes in pieces and writes each tag as its kind and
// the pieces in which it began and ended.
func tagsOf(pieces ...string) string {
	var t tagReader
	var found []string
	for i, piece := range pieces {
		t.read(piece, int64(i+1), func(at int64, closing bool) {
			kind := "open"
			if closing {
				kind = "close"
			}
			found = append(found, fmt.Sprintf("%s %d-%d", kind, at, i+1))
		})
	}
	return strings.Join(found, ", ")
}

func TestTagsAreFoundHoweverTheirTextIsCut(t *testing.T) {
	for _, tt := range []struct {
		pieces []string
		want   string
	}{
		{[]string{"a <use_tool>x</use_tool> b"}, "open 1-1, close 1-1"},
		{[]string{"a <", "use_", "tool", ">x</use_tool", ">"}, "open 1-4, close 4-5"},
		{[]string{"<use_tool name='x'>", "</use_tool\n>"}, "open 1-1, close 2-2"},
		{[]string{"<use_tools></use_toolbox><use_too", "<use_tool>"}, "open 2-2"},
		{[]string{"<<use_tool>", "<", "/use_tool>"}, "open 1-1, close 2-3"},
		{[]string{"<", "<use_tool", "> < </", "x>"}, "open 2-3"},
		{[]string{"", "<use_tool", "", "", ">"}, "open 2-5"},
		{[]string{"<USE_TOOL>", "&lt;use_tool>", "< use_tool>"}, ""},
	} {
		if got := tagsOf(tt.pieces...); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.pieces, got, tt.want)
		}
	}
	// Every way to cut a text in three finds what the whole has.
	const text = "<<use_tool>a</use_<use_tool </use_tool></use_tool >"
	want := strings.Count(tagsOf(text), "1-1")
	for i := range len(text) {
		for j := i; j <= len(text); j++ {
			if got := tagsOf(text[:i], text[i:j], text[j:]); strings.Count(got, "-") != want {
				t.Errorf("%q %q %q: %s, want %d", text[:i], text[i:j], text[j:], got, want)
			}
		}
	}
}

// streamed makes a trace of chunks and events: "1 text", "tool_buffer/started".
func streamed(lines ...string) *Trace {
	roles := &Roles{Event: "method", Way: "direction", Seq: "seq", Error: "error", Text: "text"}
	t := &Trace{ID: "r"}
	for _, line := range lines {
		head, rest, hasText := strings.Cut(line, " ")
		fields := map[string]any{"method": head, "direction": "recv"}
		switch {
		case head == "turn/start":
			fields["direction"] = "send"
		case head[0] >= '0' && head[0] <= '9':
			fields["method"], fields["seq"] = "item/chunk", head
			if hasText {
				fields["text"] = rest
			}
		case hasText && head == "turn/completed":
			fields["seq"] = rest
		case hasText:
			fields["error"] = rest
		}
		t.Records = append(t.Records, Traced{Record: Record{Source: "proto", ID: "r", Fields: fields, Roles: roles}, FoundBy: "r"})
	}
	return t
}

func TestBlocksByTheirTextAndByTheirEvents(t *testing.T) {
	const long = "a text that is long enough to tell"
	for _, tt := range []struct {
		name  string
		lines []string
		want  []ToolBlock
		extra string // repeats, whether there was another sending
	}{
		{"by events", []string{"1", "tool_buffer/started", "2", "3", "tool_buffer/completed", "turn/completed 4"}, []ToolBlock{{Opened: 1, Closed: 3}}, "[]"},
		{"aborted", []string{"1", "tool_buffer/started", "3", "tool_buffer/aborted it is cut"}, []ToolBlock{{Opened: 1, Closed: NoSeq, Aborted: true, Error: "it is cut", Torn: true}}, "[]"},
		{"started twice, never ended", []string{"1", "tool_buffer/started", "2", "tool_buffer/started"}, []ToolBlock{{Opened: 1, Closed: NoSeq, Twice: true}}, "[]"},
		{"ended only", []string{"1", "tool_buffer/completed"}, []ToolBlock{{Opened: NoSeq, Closed: 1}}, "[]"},
		{"by text", []string{"1 a<use_", "2 tool>x</use_tool><use_tool>y", "3 </use_tool>"}, []ToolBlock{{Opened: 1, Closed: 2}, {Opened: 2, Closed: 3}}, "[]"},
		{"text and events are of the same block", []string{"1 <use_tool>", "tool_buffer/started", "2 x", "3 </use_tool>", "tool_buffer/completed"}, []ToolBlock{{Opened: 1, Closed: 3}}, "[]"},
		{"opened twice by a chunk that came twice", []string{"1 <use_tool>", "1 <use_tool>", "2 </use_tool>"}, []ToolBlock{{Opened: 1, Closed: 2, Twice: true}}, "[]"},
		{"a tag that is lost with its chunk", []string{"1 a<use_", "tool_buffer/started", "3 x</use_tool>", "tool_buffer/aborted lost"}, []ToolBlock{{Opened: 1, Closed: 3, Aborted: true, Error: "lost", Torn: true}}, "[]"},
		{"a tag does not go on past a missing chunk", []string{"1 <use_", "3 tool>"}, nil, "[]"},
		{"the last chunk is missing", []string{"1 <use_tool>", "2 x", "turn/completed 4"}, []ToolBlock{{Opened: 1, Closed: NoSeq, Torn: true}}, "[]"},
		{"the same text under another number", []string{"1 " + long, "2 " + long, "3 short", "4 short", "4 short"}, nil, "[2]"},
		{"sent again", []string{"turn/start", "1 <use_tool>", "turn/start", "1 <use_tool>", "2 </use_tool>"}, []ToolBlock{{Opened: 1, Closed: NoSeq}, {Opened: 1, Closed: 2}}, "[] resent []"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var blocks []ToolBlock
			var extra []string
			for _, s := range streamed(tt.lines...).ToolStreams() {
				blocks = append(blocks, s.Blocks...)
				extra = append(extra, fmt.Sprint(s.Repeats))
				if s.Resent {
					extra = append(extra, "resent")
				}
			}
			if diff := cmp.Diff(tt.want, blocks); diff != "" {
				t.Error(diff)
			}
			if got := strings.Join(extra, " "); got != tt.extra {
				t.Errorf("%s, want %s", got, tt.extra)
			}
		})
	}
}
