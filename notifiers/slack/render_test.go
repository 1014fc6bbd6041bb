package slack

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
)

var update = flag.Bool("update", false, "rewrite the golden messages in testdata")

// golden compares a message with testdata/name.json, as it goes out.
func golden(t *testing.T, name string, m message) {
	t.Helper()
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(map[string]any{"text": escape(m.sentence, maxText), "plain": escape(m.long, maxText), "blocks": m.blocks}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s differs (-want +got); run the test with -update if that is meant:\n%s", path, diff)
	}
}

func parentWith(change func(*triage.ParentPost)) triage.Post {
	p := parentPost()
	change(p)
	return triage.Post{Parent: p}
}

func findingWith(change func(*triage.FindingPost)) triage.Post {
	p := findingPost()
	change(p)
	return triage.Post{Finding: p}
}

// messages are the posts whose messages are golden.
func messages() map[string]triage.Post {
	all := incidentMessages()
	maps.Copy(all, windowMessages())
	return all
}

func incidentMessages() map[string]triage.Post {
	return map[string]triage.Post{
		"parent-firing": {Parent: parentPost()},
		"parent-opened": parentWith(func(p *triage.ParentPost) {
			*p = triage.ParentPost{IncidentID: 1, State: triage.IncidentFiring, Alertname: "unnamed", StartedAt: start, Firing: 1, Alerts: 1, NoPlaybook: true}
		}),
		"parent-concluded": parentWith(func(p *triage.ParentPost) {
			p.Severity = "warning"
			for i, s := range []triage.StepState{triage.StepAbnormal, triage.StepNormal, triage.StepUnknown, triage.StepSkipped} {
				p.Steps[i].State = s
			}
			p.Conclusion = "1 of 4 steps is abnormal: p95 latency."
			p.Truncated, p.Reopened = 12, 2
		}),
		"parent-resolved": parentWith(func(p *triage.ParentPost) {
			p.State, p.ResolvedAt, p.Firing = triage.IncidentResolved, start.Add(11*time.Minute+30*time.Second), 0
			p.Resolution, p.Conclusion, p.Steps = triage.ResolvedByAlertmanager, "1 of 4 steps was abnormal: p95 latency.", nil
		}),
		"parent-closed": parentWith(func(p *triage.ParentPost) {
			p.PlaybookTitle, p.Owner = "Latency SLO breach", "sre"
			p.State, p.ResolvedAt, p.Firing, p.Severity = triage.IncidentClosed, start.Add(26*time.Hour), 0, "info"
			p.Resolution = triage.ResolvedByTTL
		}),
		"parent-acked": parentWith(func(p *triage.ParentPost) {
			p.AckedBy, p.AckedAt, p.SilencedUntil = "alice", start.Add(2*time.Minute), start.Add(2*time.Hour)
			p.Conclusion, p.Choices = "1 of 4 steps is abnormal: p95 latency.", parentChoices()
		}),
		"parent-by-hand": parentWith(func(p *triage.ParentPost) {
			p.RequestedBy, p.Severity, p.Impact, p.Firing, p.Alerts = "bob", "", "", 0, 0
			p.Choices = parentChoices()[2:3]
		}),
		"finding-abnormal": {Finding: findingPost()},
		"finding-normal": findingWith(func(p *triage.FindingPost) {
			p.Finding = triage.Finding{
				StepID: "backoff", Title: "Worker backoff", Kind: "query", Verdict: triage.VerdictNormal, Headline: "No worker backs off.",
				Rows: []triage.Row{{Name: "max", Value: "0 ms"}}, At: start, Took: 12 * time.Second,
			}
		}),
		"finding-unknown": findingWith(func(p *triage.FindingPost) {
			p.Finding = triage.Finding{
				StepID: "trace", Kind: "trace", Verdict: triage.VerdictUnknown, Headline: "Tempo did not answer within 10 s.",
				NextStep: "Check that Tempo is up, then run the step again.", At: start,
			}
		}),
		"finding-skipped": findingWith(func(p *triage.FindingPost) {
			p.Finding = triage.Finding{StepID: "page", Title: "Page", Skipped: "its condition was false", At: start}
		}),
		"finding-many-rows": findingWith(func(p *triage.FindingPost) {
			p.Finding.Rows = nil
			for i := range maxRows + 3 {
				p.Finding.Rows = append(p.Finding.Rows, triage.Row{Name: fmt.Sprintf("{pod=%q}", fmt.Sprint("codex-", i)), Value: fmt.Sprint(i), Abnormal: i < 2})
			}
			p.Finding.Omitted = 40
		}),
		"conclusion": {Conclusion: &triage.ConclusionPost{IncidentID: 7, RunID: 9, Conclusion: triage.Conclusion{
			Explanation: "worker-backoff", Says: "workers back off, and requests wait for them",
			For:     []string{"Worker w0 backs off for 4s", "p95 on /v1/chat/completions is 1.2s (410ms a day ago)"},
			Unknown: []string{"A slow request, from log to log"}, Next: "escalate to the on-call with the /readyz capture",
		}}},
		"conclusion-unclear": {Conclusion: &triage.ConclusionPost{IncidentID: 7, RunID: 9, Conclusion: triage.Conclusion{
			Says: "too much is not known <!channel>", Unknown: []string{"Errors by reason"}, Open: []string{"the backend fails"},
			Next: "find out what could not be told (each finding says how), then look again",
		}}},
		"escalation":   {Escalation: escalationPost("<!subteam^S0123456>")},
		"announcement": {Note: &triage.NotePost{IncidentID: 7, Text: "Restarts persist; maintenance is proposed.", Broadcast: true}},
		"note":         {Note: &triage.NotePost{IncidentID: 7, Text: "Normal: backoff, queue, db.\nThe run is over.", Links: []triage.Link{{Title: "Bundle", URL: "https://triage.example/bundle/7"}}}},
	}
}

func TestGoldenMessages(t *testing.T) {
	for name, post := range messages() {
		t.Run(name, func(t *testing.T) {
			m, err := render(post)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, m)
			again, _ := render(post)
			if a, b := blocksJSON(t, m), blocksJSON(t, again); a != b {
				t.Error("rendering it twice gives two messages")
			}
		})
	}
}

func TestTheLocalChannelTakesEveryGoldenMessage(t *testing.T) {
	f := setUp(t)
	for name, post := range messages() {
		if r := f.send(t, f.delivery(triage.DeliveryReply, post)); r.Note != "" {
			t.Errorf("%s: %s", name, r.Note)
		}
	}
}

func blocksJSON(t *testing.T, m message) string {
	t.Helper()
	b, err := json.Marshal(m.blocks)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// parentChoices are the buttons of an open incident.
func parentChoices() []triage.Choice {
	silence := func(d string) triage.Choice {
		return triage.Choice{Label: d, Command: "triage silence " + d + " 7"}
	}
	return []triage.Choice{
		{Label: "Ack", Command: "triage ack 7", Style: "primary"},
		{Label: "Silence", Options: []triage.Choice{silence("30m"), silence("1h"), silence("2h"), silence("4h"), silence("1d"), {Label: "Other…"}}},
		{Label: "Re-run", Command: "triage run 7"},
		{Label: "Escalate", Command: "triage escalate 7", Style: "danger", Confirm: "This wakes whoever is on call. Escalate incident 7?"},
	}
}

// hostile are values that have broken messages, or pinged a channel, elsewhere.
var hostile = map[string]string{
	"channel mention":   "<!channel> <!here> <!everyone>",
	"user mention":      "<@U0PERSON1> <!subteam^S012345>",
	"escaped already":   "&lt;!channel&gt; &amp;",
	"at names":          "@channel @here @everyone",
	"link":              "<https://evil.example|https://good.example>",
	"code fence":        "```\n<!channel>\n```",
	"backticks":         "`<!channel>` `",
	"styles":            "*bold* _italic_ ~struck~ > quote",
	"date":              "<!date^1^{date}|<!channel>>",
	"direction":         "\u202e\u2066txt.exe\u2069",
	"zero width":        "a\u200bb\ufeff<\u200b!channel>",
	"invalid UTF-8":     "a\xff\xfe<!channel>\xc3",
	"control":           "a\x00b\x1b[31m\r\n",
	"only blanks":       " \t\n\u00a0",
	"only invisible":    "\u200b\u200b",
	"empty":             "",
	"quotes":            `"}]}},{"type":"header"`,
	"html":              `<script>alert(1)</script><img src=x onerror=alert(1)>`,
	"emoji codes":       ":white_check_mark: :100:",
	"a megabyte":        strings.Repeat("<!channel>", 1<<20/10),
	"a megabyte of &":   strings.Repeat("&", 1<<20),
	"combining":         "e" + strings.Repeat("\u0301", 5000),
	"one long word":     strings.Repeat("W", 20_000),
	"newlines":          strings.Repeat("\n", 20_000),
	"wide characters":   strings.Repeat("🔴", 20_000),
	"joiners":           strings.Repeat("👩\u200d", 9_000),
	"javascript":        "javascript:alert(1)",
	"url with mentions": "https://example.com/?q=<!channel>|<@U1>",
}

// hostilePosts put a value wherever a post takes text of others.
func hostilePosts(s string) map[string]triage.Post {
	links := []triage.Link{{Title: s, URL: "https://example.com/"}, {Title: "t", URL: s}}
	return map[string]triage.Post{
		"parent": {Parent: &triage.ParentPost{
			IncidentID: 7, State: triage.IncidentFiring, Severity: s, Alertname: s, Impact: s,
			Fields:   []triage.Field{{Name: s, Value: s}, {Name: s, Value: s}, {Name: s, Value: s}, {Name: s, Value: s}, {Name: s, Value: s}, {Name: s, Value: s}},
			Playbook: s, Steps: []triage.StepMark{{ID: s, Title: s, State: triage.StepRunning}, {ID: s, State: triage.StepState(s)}},
			Conclusion: s, Links: links, StartedAt: start, Firing: 1, Alerts: 1,
			AckedBy: s, AckedAt: start, SilencedUntil: start,
			Choices: []triage.Choice{
				{Label: s, Command: s, Style: s, Confirm: s},
				{Label: s, Confirm: s, Options: []triage.Choice{{Label: s, Command: s}, {Label: s}}},
			},
		}},
		"by hand":   {Parent: &triage.ParentPost{IncidentID: 7, State: triage.IncidentFiring, Alertname: s, RequestedBy: "by " + s, StartedAt: start}},
		"odd state": {Parent: &triage.ParentPost{State: triage.IncidentState(s), Alertname: s, Resolution: triage.Resolution(s)}},
		"finding": {Finding: &triage.FindingPost{IncidentID: 7, RunID: 9, Finding: triage.Finding{
			StepID: s, Title: s, Kind: s, Verdict: triage.Verdict(s), Headline: s, NextStep: s,
			Rows: slices.Repeat([]triage.Row{{Name: s, Value: s, Baseline: s, Abnormal: true}}, maxRows+1), Links: links,
			Evidence: []triage.EvidenceRef{{Name: s, Title: s, URL: "https://example.com/e"}, {Name: s, URL: s}},
			At:       start, Took: time.Second,
		}}},
		"skipped": {Finding: &triage.FindingPost{Finding: triage.Finding{StepID: s, Skipped: s}}},
		"note":    {Note: &triage.NotePost{IncidentID: 7, Text: s, Links: links}},
		"window": {Window: &triage.WindowPost{
			WindowID: 3, State: triage.WindowState(s), Service: s, Reason: s, By: s, Said: s, Since: start, Until: start,
		}},
		"window's note": {Note: &triage.NotePost{WindowID: 3, Text: s, Mention: "x" + s}},
		"escalation": {Escalation: &triage.EscalationPost{
			IncidentID: 7, Alertname: s, Severity: s, To: s, Reason: s, Mention: "x" + s, Links: links,
		}},
	}
}

func TestNoValuePingsAnybodyOrBreaksAMessage(t *testing.T) {
	for name, value := range hostile {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			for where, post := range hostilePosts(value) {
				d := f.delivery(triage.DeliveryReply, post)
				r := f.send(t, d)
				if r.Note != "" {
					t.Errorf("%s: Slack refuses the layout: %s", where, r.Note)
				}
				d.Remote = r.Remote
				f.send(t, d) // the same as an edit, whose text has a shorter limit

				f.ws.Fail(methodUpdate, func(n int) slacklocal.Fault {
					if n == 1 {
						return slacklocal.Fault{Error: "invalid_blocks"}
					}
					return slacklocal.Fault{}
				})
				f.send(t, d) // and as plain text
				f.ws.Fail(methodUpdate, nil)
			}
			for _, m := range f.ws.Channel("incidents") {
				if pinged := m.Pings(); len(pinged) > 0 {
					t.Errorf("%q pings %v", m.Text, pinged)
				}
			}
		})
	}
}

// This looks at the blocks as they are rendered, before Slack sees them: only
// what this package wrote itself may be parsed by it.
func TestNothingOfOthersIsParsedBySlack(t *testing.T) {
	const value = "MARKER<!channel>"
	for where, post := range hostilePosts(value) {
		m, err := render(post)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range parsedTexts(m.blocks) {
			if strings.Contains(strings.ToUpper(text), "MARKER") {
				t.Errorf("%s: mrkdwn holds the value: %s", where, text)
			}
		}
		if !strings.Contains(strings.ToUpper(blocksJSON(t, m)), "MARKER") {
			t.Errorf("%s: the value is nowhere; the test shows nothing", where)
		}
	}
}

// parsedTexts are the texts of the blocks in which Slack looks for markup.
func parsedTexts(blocks []slack.Block) []string {
	var texts []string
	add := func(t *slack.TextBlockObject) {
		if t != nil && t.Type == slack.MarkdownType {
			texts = append(texts, t.Text)
		}
	}
	for _, b := range blocks {
		switch b := b.(type) {
		case *slack.SectionBlock:
			add(b.Text)
			for _, f := range b.Fields {
				add(f)
			}
		case *slack.ContextBlock:
			for _, e := range b.ContextElements.Elements {
				if t, ok := e.(*slack.TextBlockObject); ok {
					add(t)
				}
			}
		}
	}
	return texts
}

func TestAHostileParentLooksLikeThis(t *testing.T) {
	m, err := render(hostilePosts("<!channel> `x` *b* \u202e\xff")["parent"])
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "parent-hostile", m)
}

func TestAFileOfAHostileNameIsShownInertly(t *testing.T) {
	for name, value := range hostile {
		if len(value) > 100_000 {
			continue // the artifact's name is the project's own; a long one is enough
		}
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			thread := f.send(t, f.parent()).Remote
			d := f.file(thread)
			d.Body.File.Artifact.Name, d.Body.File.Artifact.Title, d.Body.File.Artifact.Alt, d.Body.File.Comment = value, value, value, value
			f.artifacts[value] = []byte("x")
			f.send(t, d)
			shown := f.files(t)
			if pinged := shown[0].Pings(); len(pinged) > 0 {
				t.Errorf("pings %v", pinged)
			}
		})
	}
}

func TestLengthsAtTheirLimits(t *testing.T) {
	header := func(m message) string { return m.blocks[0].(*slack.HeaderBlock).Text.Text }
	firstText := func(m message) string {
		return m.blocks[0].(*slack.RichTextBlock).Elements[0].(*slack.RichTextSection).Elements[0].(*slack.RichTextSectionTextElement).Text
	}
	secondText := func(m message) string {
		return m.blocks[1].(*slack.RichTextBlock).Elements[0].(*slack.RichTextSection).Elements[0].(*slack.RichTextSectionTextElement).Text
	}
	const head = "🔴 CRITICAL · FIRING — "
	cases := map[string]struct {
		post  func(s string) triage.Post
		shown func(message) string
		fits  int // characters of the value that are shown whole
		limit int // of what is shown
	}{
		"header": {
			func(s string) triage.Post { return parentWith(func(p *triage.ParentPost) { p.Alertname = s }) },
			header, maxHeader - utf8.RuneCountInString(head), maxHeader,
		},
		"impact": {
			func(s string) triage.Post { return parentWith(func(p *triage.ParentPost) { p.Impact = s }) },
			secondText, maxImpact, maxImpact,
		},
		"note": {
			func(s string) triage.Post { return triage.Post{Note: &triage.NotePost{Text: s}} },
			firstText, maxNote, maxNote,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			for n := c.fits; n <= c.fits+1; n++ {
				post := c.post(strings.Repeat("é", n))
				m, err := render(post)
				if err != nil {
					t.Fatal(err)
				}
				shown := c.shown(m)
				if got := utf8.RuneCountInString(shown); got != c.limit {
					t.Errorf("a value of %d characters: %d are shown, want %d", n, got, c.limit)
				}
				if cutOff := strings.HasSuffix(shown, "…"); cutOff != (n > c.fits) {
					t.Errorf("a value of %d characters: cut off %v", n, cutOff)
				}
				if r := f.send(t, f.delivery(triage.DeliveryReply, post)); r.Note != "" {
					t.Errorf("a value of %d characters: %s", n, r.Note)
				}
			}
		})
	}
}

func TestAParentHasAtMostEightBlocksAndSixFields(t *testing.T) {
	p := parentPost()
	p.AckedBy, p.AckedAt, p.SilencedUntil, p.Choices = "alice", start, start, parentChoices()
	p.Conclusion = "All is said."
	for i := range 9 {
		p.Fields = append(p.Fields, triage.Field{Name: fmt.Sprint(i), Value: "v"})
	}
	for i := range maxStepMarks + 5 {
		p.Steps = append(p.Steps, triage.StepMark{ID: fmt.Sprint("s", i), State: triage.StepRunning})
	}
	m := renderParent(p)
	if len(m.blocks) != 8 {
		t.Errorf("%d blocks, want 8", len(m.blocks))
	}
	if _, last := m.blocks[7].(*slack.ActionBlock); !last {
		t.Errorf("the last block is a %T, want the buttons", m.blocks[7])
	}
	for _, b := range m.blocks {
		if s, ok := b.(*slack.SectionBlock); ok && len(s.Fields) != maxFields {
			t.Errorf("%d fields, want %d", len(s.Fields), maxFields)
		}
	}
	steps := stepLine(p.Steps)
	if !strings.Contains(steps, "… 2/49 · 1 abnormal · running: readyz, s0, s1 and 43 more") {
		t.Errorf("step line %q", steps)
	}
}

func TestTheStepLineTellsStatesApart(t *testing.T) {
	steps := []triage.StepMark{
		{ID: "a", State: triage.StepNormal},
		{ID: "b", State: triage.StepAbnormal},
		{ID: "c", State: triage.StepUnknown},
		{ID: "d", State: triage.StepSkipped},
		{ID: "readyz", State: triage.StepRunning},
		{ID: "f", State: triage.StepWaiting},
	}
	if got, want := stepLine(steps), "✅🔺❔➖⏳▫️ 4/6 · 1 abnormal · 1 unknown · running: readyz"; got != want {
		t.Errorf("step line %q, want %q", got, want)
	}
}

func TestSeveritiesHaveASignAndAWord(t *testing.T) {
	for severity, want := range map[string]string{
		"critical": "🔴 CRITICAL · FIRING — x", "page": "🔴 PAGE · FIRING — x", "error": "🟠 ERROR · FIRING — x",
		"high": "🟠 HIGH · FIRING — x", "warning": "🟡 WARNING · FIRING — x", "info": "🔵 INFO · FIRING — x",
		"odd": "🟡 ODD · FIRING — x", "": "🟡 FIRING — x",
	} {
		if got := parentHeader(&triage.ParentPost{State: triage.IncidentFiring, Severity: severity, Alertname: "x"}); got != want {
			t.Errorf("header %q, want %q", got, want)
		}
	}
}
