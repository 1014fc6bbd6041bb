package slack

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"triagebot/triage"
)

func TestCleanShowsWhatHides(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                         "plain",
		"two\nlines\tand a tab":         "two\nlines\tand a tab",
		"bad \xff\xfe UTF-8":            "bad \ufffd\ufffd UTF-8",
		"nul\x00 esc\x1b[31m":           "nul\ufffd esc\ufffd[31m",
		"carriage\r\nreturn":            "carriage\ufffd\nreturn",
		"evil\u202etxt.exe":             "evil\ufffdtxt.exe",
		"isolate\u2066x\u2069":          "isolate\ufffdx\ufffd",
		"zero\u200bwidth\ufeff":         "zero\ufffdwidth\ufffd",
		"<!chan\u200dnel>":              "<!chan\ufffdnel>",
		"line\u2028separator":           "line\ufffdseparator",
		"private \ue000 use":            "private \ufffd use",
		"family 👩\u200d💻 stays":         "family 👩\u200d💻 stays",
		"می\u200cخواهم":                 "می\u200cخواهم",
		"two joiners é\u200d\u200dx":    "two joiners é\u200d\ufffdx",
		"combining e\u0301 and 東京 stay": "combining e\u0301 and 東京 stay",
	} {
		if got := clean(in, 100); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCleanCutsByCharacters(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 5, ""},
		{"12345", 5, "12345"},
		{"123456", 5, "1234…"},
		{"äöüßé", 5, "äöüßé"},
		{"äöüßéx", 5, "äöüß…"},
		{"🔴🔴🔴", 2, "🔴…"},
		{"12345", 1, "…"},
		{strings.Repeat("x", 1<<20), 3, "xx…"},
	} {
		if got := clean(c.in, c.limit); got != c.want {
			t.Errorf("clean(%.20q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

func TestLineIsOneLineAndNeverEmpty(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "–",
		" \n\t ":               "–",
		"\u00a0":               "–",
		"a\nb\t c":             "a b c",
		"  padd  ":             "padd",
		strings.Repeat("x", 9): "xxxx…",
		"a         b":          "a b",
	} {
		if got := line(in, 5); got != want {
			t.Errorf("line(%q, 5) = %q, want %q", in, got, want)
		}
	}
}

func TestEscapeHappensOnceAndIsNeverCutWithinAnEntity(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"a & b < c > d", 100, "a &amp; b &lt; c &gt; d"},
		{"&amp;", 100, "&amp;amp;"},
		{"<!channel> <@U1> <http://x|y>", 100, "&lt;!channel&gt; &lt;@U1&gt; &lt;http://x|y&gt;"},
		{"&&&", 15, "&amp;&amp;&amp;"},
		{"&&&&", 15, "&amp;&amp;…"},
		{"&&&", 14, "&amp;&amp;…"},
		{"ab&", 7, "ab&amp;"},
		{"abc&", 7, "abc…"},
		{"<<<<<", 5, "&lt;…"},
	} {
		if got := escape(c.in, c.limit); got != c.want {
			t.Errorf("escape(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{
		"", "plain", "<!channel>", "<!here|x>", "<@U1>", "<#C1|c>", "<!subteam^S1>", "<http://x|click>", "&lt;!channel&gt;",
		"&", "&&&&&&&&", "```code```", "*bold* _it_ ~no~", "\u202egnp.exe", "a\u200bb", "\xff\xfe<\xff!channel>", "🔴👩\u200d💻",
		strings.Repeat("<", 5000), strings.Repeat("&amp;", 900), "<\x00!channel>", "\u2066<!everyone>\u2069",
	} {
		f.Add(s, 40)
		f.Add(s, maxText)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 1 + abs(limit)%maxText
		got := escape(s, limit)
		if !utf8.ValidString(got) {
			t.Fatalf("not UTF-8: %q", got)
		}
		if n := utf8.RuneCountInString(got); n > limit {
			t.Fatalf("%d characters, allowed are %d", n, limit)
		}
		if strings.ContainsAny(got, "<>") {
			t.Fatalf("a control sequence could begin: %q", got)
		}
		for i, r := range got {
			if r == '&' && !entityAt(got[i:]) {
				t.Fatalf("an ampersand without its entity: %q", got)
			}
			if r != zwj && r != zwnj && r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf) {
				t.Fatalf("%U is hidden in %q", r, got)
			}
		}
		// Reading it back gives what was cleaned, or a part of it.
		back := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(got)
		if whole := clean(s, limit); !strings.HasPrefix(whole, strings.TrimSuffix(back, "…")) {
			t.Fatalf("%q reads back as %q", whole, back)
		}
		if l := line(s, limit); l == "" || strings.ContainsAny(l, "\n\t") || utf8.RuneCountInString(l) > limit {
			t.Fatalf("line(%q, %d) = %q", s, limit, l)
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}

func entityAt(s string) bool {
	return strings.HasPrefix(s, "&amp;") || strings.HasPrefix(s, "&lt;") || strings.HasPrefix(s, "&gt;")
}

func TestOnlySafeURLsAreLinks(t *testing.T) {
	long := "https://example.com/" + strings.Repeat("x", maxURL-len("https://example.com/"))
	for target, want := range map[string]bool{
		"https://example.com/a?b=c&d=%22#e": true,
		"http://10.0.0.1:9090/graph":        true,
		long:                                true,
		long + "x":                          false,
		"":                                  false,
		"example.com":                       false,
		"//example.com/":                    false,
		"https:///path":                     false,
		"javascript:alert(1)":               false,
		"slack://channel?id=C1":             false,
		"data:text/html,x":                  false,
		"https://user:secret@example.com/":  false,
		"https://exa\u202emple.com/":        false,
		"https://example.com/\n<!channel>":  false,
		"https://example.com/\xff":          false,
	} {
		if got, ok := safeURL(target); ok != want || (ok && got != target) {
			t.Errorf("safeURL(%.60q) = %.60q, %v; want %v", target, got, ok, want)
		}
	}
}

func TestLinksKeepToTheirRoom(t *testing.T) {
	big := triage.Link{Title: "big", URL: "https://example.com/" + strings.Repeat("x", maxURL-len("https://example.com/"))}
	small := triage.Link{Title: "small", URL: "https://example.com/"}
	repeat := func(l triage.Link, n int) []triage.Link {
		var ls []triage.Link
		for range n {
			ls = append(ls, l)
		}
		return ls
	}
	for name, c := range map[string]struct {
		links      []triage.Link
		shown, out int
	}{
		"as many as allowed":    {repeat(small, maxLinks), maxLinks, 0},
		"one more":              {repeat(small, maxLinks+1), maxLinks, 1},
		"as long as allowed":    {repeat(big, 2), 2, 0},
		"one character more":    {append(repeat(big, 2), small), 2, 1},
		"a short one after all": {append([]triage.Link{big, {URL: "no"}}, small), 2, 1},
	} {
		if shown, out := usableLinks(c.links); len(shown) != c.shown || out != c.out {
			t.Errorf("%s: %d shown and %d left out, want %d and %d", name, len(shown), out, c.shown, c.out)
		}
	}
}

func TestTimesAsPeopleSayThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                               "0s",
		999 * time.Millisecond:          "1s",
		59 * time.Second:                "59s",
		time.Minute:                     "1m 0s",
		3*time.Hour + 5*time.Minute:     "3h 5m",
		52*time.Hour + 59*time.Minute:   "2d 4h",
		59*time.Minute + 59*time.Second: "59m 59s",
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%v) = %q, want %q", d, got, want)
		}
	}
	if got := date(start); got != "<!date^1772366400^{date_short_pretty} {time_secs}|2026-03-01 12:00:00 UTC>" {
		t.Errorf("date = %q", got)
	}
	if got := date(time.Time{}); strings.ContainsAny(got, "<>") {
		t.Errorf("date of no time = %q, which Slack would refuse", got)
	}
}
