package slack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

func TestAReplyKeepsToSlacksLimitsWhateverItSays(t *testing.T) {
	for name, value := range hostile {
		f := setUp(t)
		for _, fixed := range []bool{false, true} {
			text, blocks := RenderReply(triage.Reply{
				Text: value, Lines: slices.Repeat([]string{value}, 3), Fixed: fixed,
				Links:   []triage.Link{{Title: value, URL: "https://example.com/"}, {Title: "t", URL: value}},
				Choices: []triage.Choice{{Label: value, Command: value, Confirm: value}, {Label: value, Options: []triage.Choice{{Label: value, Command: value}}}},
			}, 7)
			if n := utf8.RuneCountInString(text); n == 0 || n > maxText {
				t.Errorf("%s: a text of %d characters", name, n)
			}
			for _, markup := range []string{"<!", "<@", "<http"} {
				if strings.Contains(text, markup) {
					t.Errorf("%s: the text holds %s", name, markup)
				}
			}
			if len(parsedTexts(blocks)) != 0 {
				t.Errorf("%s: Slack looks for markup in %v", name, parsedTexts(blocks))
			}
			// The local channel checks blocks as Slack does.
			if _, _, err := f.client.PostMessageContext(t.Context(), "incidents", slack.MsgOptionText(text, false), slack.MsgOptionBlocks(blocks...)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, m := range f.ws.Channel("incidents") {
			if pinged := m.Pings(); len(pinged) > 0 {
				t.Errorf("%s: pings %v", name, pinged)
			}
		}
	}
}

func TestLinesOfAReplyAtTheirLimits(t *testing.T) {
	body := func(r triage.Reply) string {
		_, blocks := RenderReply(r, 0)
		var block struct {
			Elements []struct {
				Type     string
				Elements []struct{ Text string }
			}
		}
		data, _ := json.Marshal(blocks[0])
		if err := json.Unmarshal(data, &block); err != nil {
			t.Fatal(err)
		}
		want := "rich_text_section"
		if r.Fixed {
			want = "rich_text_preformatted"
		}
		if got := block.Elements[1].Type; got != want {
			t.Errorf("the lines stand in a %s, want a %s", got, want)
		}
		return block.Elements[1].Elements[0].Text
	}
	for _, fixed := range []bool{true, false} {
		for _, n := range []int{maxReplyLines, maxReplyLines + 1} {
			var given []string
			for i := range n {
				given = append(given, fmt.Sprint("line ", i))
			}
			shown := body(triage.Reply{Text: "All:", Lines: given, Fixed: fixed})
			if cut := strings.HasSuffix(shown, "… 1 more not shown"); cut != (n > maxReplyLines) {
				t.Errorf("of %d lines the end is %q", n, shown[len(shown)-30:])
			}
		}
		full := maxReplyBody / (maxReplyLine + 1)
		for _, n := range []int{full, full + 1} {
			shown := body(triage.Reply{Text: "All:", Lines: slices.Repeat([]string{strings.Repeat("é", maxReplyLine)}, n), Fixed: fixed})
			if cut := strings.Contains(shown, "more not shown"); cut != (n > full) {
				t.Errorf("of %d long lines some are left out: %v", n, cut)
			}
		}
	}
	if got := body(triage.Reply{Text: "All:", Lines: []string{"a   b", "c\td\ne"}, Fixed: true}); got != "a   b\nc d e" {
		t.Errorf("columns: %q", got)
	}
}

func TestAReplyWithAllThereIsLooksLikeThis(t *testing.T) {
	text, blocks := RenderReply(triage.Reply{
		Text: "2 incidents are open.", Lines: []string{"7  firing  CodexLatencySLOBreach", "9  firing  CodexQueueFull"}, Fixed: true,
		Links:   []triage.Link{{Title: "All incidents", URL: "https://triage.example/incidents"}},
		Choices: []triage.Choice{{Label: "Ack 7", Command: "triage ack 7"}},
	}, 0)
	golden(t, "reply", message{sentence: text, long: text, blocks: blocks})
}
