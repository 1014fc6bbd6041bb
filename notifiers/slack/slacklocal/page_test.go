package slacklocal

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func (f *fixture) get(t *testing.T, path string) (status int, body string, header http.Header) {
	t.Helper()
	resp, err := http.Get(f.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data), resp.Header
}

func TestAnEmptyChannelSaysSo(t *testing.T) {
	f := setUp(t, Options{})
	if _, body, _ := f.get(t, "/"); !strings.Contains(body, "no messages yet") || !strings.Contains(body, `href="/c/incidents"`) {
		t.Errorf("the list of channels: %s", body)
	}
	if _, body, _ := f.get(t, "/c/incidents"); !strings.Contains(body, "No messages yet") {
		t.Errorf("the channel: %s", body)
	}
	if status, body, _ := f.get(t, "/c/nowhere"); status != http.StatusNotFound || !strings.Contains(body, "No such channel") {
		t.Errorf("no channel: %d %s", status, body)
	}
}

func TestThePageShowsEveryBlock(t *testing.T) {
	f := setUp(t, Options{})
	ts := f.post(t, "text", "blocks", `[
		{"type":"header","text":{"type":"plain_text","text":"the header"}},
		{"type":"section","text":{"type":"mrkdwn","text":"*bold* _it_ ~no~ `+"`code`"+` <https://a.example/|a link> <!date^1^{date}|the date> a_b_c 2 * 3 * 4"},"fields":[{"type":"plain_text","text":"*a field*"}],
		 "accessory":{"type":"static_select","options":[{"text":{"type":"plain_text","text":"one"},"value":"1"},{"text":{"type":"plain_text","text":"two"},"value":"2"}]}},
		{"type":"divider"},
		{"type":"context","elements":[{"type":"mrkdwn","text":"the *context*"},{"type":"image","image_url":"https://x.example/i.png","alt_text":"an icon"}]},
		{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"Press"},"value":"v"}]},
		{"type":"image","image_url":"https://x.example/p.png","alt_text":"a chart","title":{"type":"plain_text","text":"its title"}},
		{"type":"rich_text","elements":[
			{"type":"rich_text_section","elements":[{"type":"text","text":"rich","style":{"bold":true}},{"type":"link","url":"http://b.example/","text":"rich link"},{"type":"date","timestamp":1,"format":"{date}","fallback":"a rich date"},{"type":"emoji","name":"tada"},{"type":"channel","channel_id":"C1"}]},
			{"type":"rich_text_preformatted","elements":[{"type":"text","text":"pre  formatted"}]},
			{"type":"rich_text_quote","elements":[{"type":"text","text":"a quote"}]},
			{"type":"rich_text_list","style":"bullet","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"an item"}]}]}]},
		{"type":"table","rows":[[{"type":"raw_text","text":"column"}],[{"type":"raw_number","value":42}],[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"rich cell"}]}]}]]}]`)
	f.post(t, "a reply of plain text\n```\nfenced\n```", "thread_ts", ts)
	f.uploadFile(t, "chart.png", "x", "thread_ts", ts)
	f.uploadFile(t, "raw.json", "{}", "thread_ts", ts)
	_, body, _ := f.get(t, "/c/incidents")
	for _, want := range []string{
		"<h2>the header</h2>", "<strong>bold</strong>", "<em>it</em>", "<s>no</s>", "<code>code</code>",
		`<a href="https://a.example/" rel="noopener noreferrer">a link</a>`, `<span class="date">the date</span>`, "a_b_c 2 * 3 * 4",
		"<li>*a field*</li>", ">one</button>", ">two</button>", "<hr>", "the <strong>context</strong>", "an icon", "Press</button>",
		`<a href="https://x.example/p.png" rel="noopener noreferrer">a chart</a>`, "its title",
		"<strong>rich</strong>", "rich link</a>", "a rich date", ":tada:", "#C1", ">pre  formatted</pre>",
		"<blockquote>a quote</blockquote>", "an item", `<th scope="col">column</th>`, "<td>42</td>", "rich cell",
		"a reply of plain text", `<code class="block">`, `alt="the alternative"`, `raw.json">A title</a>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

func TestNothingInAMessageRunsOnThePage(t *testing.T) {
	f := setUp(t, Options{})
	const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	for _, m := range []Message{
		{Text: evil, User: evil},
		{Text: "<javascript:alert(1)|click> <data:text/html,x|click> <JaVaScRiPt:alert(1)|click>"},
		{Text: "x", Blocks: []byte(rawBlocks(rich(`{"type":"link","url":"javascript:alert(1)","text":"click"}`), `{"type":"image","image_url":"javascript:alert(1)","alt_text":"click"}`))},
	} {
		if _, err := f.Inject("incidents", m); err != nil {
			t.Fatal(err)
		}
	}
	_, body, header := f.get(t, "/c/incidents")
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") || regexp.MustCompile(`(?i)href="(javascript|data):`).MatchString(body) {
		t.Errorf("the page: %s", body)
	}
	if !strings.Contains(body, "&lt;script&gt;alert(1)") {
		t.Error("the text is not shown as it is")
	}
	policy := header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
}

func rawBlocks(blocks ...string) string {
	return "[" + strings.Join(blocks, ",") + "]"
}

func TestWhomAMessagePings(t *testing.T) {
	for text, want := range map[string][]string{
		"<!channel> <@U1> <!subteam^S1|@sre>":      {"@U1", "@channel", "@sre"},
		"*<!here>*":                                {"@here"},
		"&lt;!channel&gt; @channel `<!channel>` x": nil,
		"<!date^1^{date}|then> <#C1>":              nil,
		"<https://x.example|<!channel>>":           {"@channel"},
	} {
		m := Message{Text: text}
		if got := m.Pings(); !slices.Equal(got, want) {
			t.Errorf("%q pings %v, want %v", text, got, want)
		}
	}
	m := Message{Text: "x", Blocks: []byte(rawBlocks(
		rich(`{"type":"user","user_id":"U1"},{"type":"broadcast","range":"here"},{"type":"usergroup","usergroup_id":"S1"},{"type":"text","text":"<!channel>"}`),
		`{"type":"section","fields":[{"type":"mrkdwn","text":"<@U2>"},{"type":"plain_text","text":"<@U3>"}]}`,
		`{"type":"table","rows":[[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"user","user_id":"U4"}]}]}]]}`,
	))}
	if got, want := m.Pings(), []string{"@S1", "@U1", "@U2", "@U4", "@here"}; !slices.Equal(got, want) {
		t.Errorf("blocks ping %v, want %v", got, want)
	}
}

func TestOlderThreadsAreAPageAway(t *testing.T) {
	f := setUp(t, Options{})
	for range threadsPerPage + 2 {
		f.post(t, "a message")
	}
	_, body, _ := f.get(t, "/c/incidents")
	older := regexp.MustCompile(`href="(\?before=[0-9.]+)"`).FindStringSubmatch(body)
	if n := strings.Count(body, "<article"); n != threadsPerPage || older == nil {
		t.Fatalf("%d threads and the link %v", n, older)
	}
	_, body, _ = f.get(t, "/c/incidents"+older[1])
	if n := strings.Count(body, "<article"); n != 2 || strings.Contains(body, "Older messages") || !strings.Contains(body, "Newest messages") {
		t.Errorf("the second page has %d threads", n)
	}
}

func TestAPageLearnsOfChangesAtOnce(t *testing.T) {
	f := setUp(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	until := func(want string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == want {
				return
			}
		}
		t.Fatalf("the connection ended without %q: %v", want, lines.Err())
	}
	until(": hello")
	f.post(t, "a message")
	until("data: changed")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // ends, because the workspace is closed
	}
}

func TestAsManyPagesAsAllowedAreLive(t *testing.T) {
	f := setUp(t, Options{})
	for range maxWatchers {
		if !f.watch(make(chan struct{}, 1)) {
			t.Fatal("refused within the bound")
		}
	}
	if status, _, _ := f.get(t, "/live"); status != http.StatusServiceUnavailable {
		t.Errorf("one more: %d", status)
	}
}

func TestSignsAreShownWithoutAnEmojiFont(t *testing.T) {
	f := setUp(t, Options{})
	f.post(t, "🔴 CRITICAL ✅▫️ 🦜")
	_, body, _ := f.get(t, "/c/incidents")
	for _, want := range []string{`<img class="sign" src="/signs/red.svg" alt="🔴"> CRITICAL <img class="sign" src="/signs/check.svg" alt="✅">`, `alt="▫️"`, "🦜"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s: %s", want, body)
		}
	}
	for _, s := range signs {
		if status, _, header := f.get(t, "/signs/"+s.image+".svg"); status != http.StatusOK || header.Get("Content-Type") != "image/svg+xml" {
			t.Errorf("%s: %d, %s", s.image, status, header.Get("Content-Type"))
		}
	}
}

func TestThePagesOwnFiles(t *testing.T) {
	f := setUp(t, Options{})
	for path, kind := range map[string]string{"/style.css": "text/css", "/live.js": "text/javascript", "/act.js": "text/javascript", "/icon.svg": "image/svg+xml"} {
		if status, body, header := f.get(t, path); status != http.StatusOK || body == "" || !strings.HasPrefix(header.Get("Content-Type"), kind) {
			t.Errorf("%s: %d, %s", path, status, header.Get("Content-Type"))
		}
	}
}

// The notifier's golden messages show all its signs.
func TestEverySignOfAMessageHasAPicture(t *testing.T) {
	messages, err := filepath.Glob("../testdata/*.json")
	if err != nil || len(messages) < 10 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	seen := map[string]bool{}
	for _, file := range messages {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(file, "hostile") {
			continue // it has others' signs
		}
		for _, run := range signed(string(text)) {
			if run.Image != "" {
				seen[run.Text] = true
				continue
			}
			for _, r := range run.Text {
				// Shapes such as ◄ are in every font.
				if unicode.Is(unicode.So, r) && (r < 0x25a0 || r > 0x25ff) {
					t.Errorf("%s: %c has no picture", file, r)
				}
			}
		}
	}
	if len(seen) < 8 {
		t.Errorf("the messages have the signs %v only", seen)
	}
}
