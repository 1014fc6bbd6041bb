package slack

// Text that others wrote, made fit to be shown: cleaned, cut and, where Slack
// parses it, escaped. All lengths are in characters (runes).

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

// Slack's limits that renderings keep to. All else is kept far below Slack's
// limits by the layouts themselves, so that a message's blocks stay under the
// 13,200 characters that they may have together.
const (
	maxHeader = 150  // of a header block
	maxText   = 4000 // of a message's text, escaped: chat.update refuses more
	maxURL    = 3000 // of a link
	maxURLs   = 6000 // of all links of a message together
	maxLinks  = 10   // links of a message
	maxAlt    = 2000 // of a picture's alternative text
)

const (
	zwnj = '\u200c'
	zwj  = '\u200d'
)

// clean returns at most limit characters of s, the last of them an ellipsis
// where something was cut off. What is not UTF-8 or cannot be seen (control
// characters, direction overrides, zero-width spaces) becomes U+FFFD, so that
// nothing hides; joiners within a script or an emoji stay, and so do newlines
// and tabs. Its cost depends on limit, not on len(s).
func clean(s string, limit int) string {
	var b strings.Builder
	n, last, prev := 0, 0, rune(0)
	for _, r := range s {
		if n == limit {
			return b.String()[:last] + "…"
		}
		if !visible(r, prev) {
			r = utf8.RuneError
		}
		last = b.Len()
		b.WriteRune(r)
		prev = r
		n++
	}
	return b.String()
}

func visible(r, prev rune) bool {
	switch r {
	case '\n', '\t':
		return true
	case zwj, zwnj:
		return prev > unicode.MaxASCII && prev != utf8.RuneError && prev != zwj && prev != zwnj
	case '\u2028', '\u2029': // line and paragraph separator
		return false
	}
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs)
}

// line is clean for what stands in one line: white space becomes single
// spaces. What has no content becomes "–", for Slack refuses empty text.
func line(s string, limit int) string {
	// White space that goes away must not eat up the limit, but bounds the work.
	s = strings.Join(strings.Fields(clean(s, 4*limit)), " ")
	if s == "" {
		return "–"
	}
	return clean(s, limit)
}

// escaper does what Slack asks of text that it parses: exactly these three.
// https://docs.slack.dev/messaging/formatting-message-text#escaping
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escape returns s escaped for Slack's mrkdwn and cleaned, in at most limit
// characters. It is cut before it is escaped, so never within an entity.
func escape(s string, limit int) string {
	s = clean(s, limit)
	escaped := escaper.Replace(s)
	if utf8.RuneCountInString(escaped) <= limit {
		return escaped
	}
	var b strings.Builder
	n := 1 // the ellipsis
	for _, r := range s {
		e := escaper.Replace(string(r))
		if n += utf8.RuneCountInString(e); n > limit {
			break
		}
		b.WriteString(e)
	}
	return b.String() + "…"
}

// date is an instant as mrkdwn that each reader sees in their own time zone.
func date(t time.Time) string {
	utc := t.UTC().Format("2006-01-02 15:04:05 UTC")
	if t.Unix() <= 0 {
		return utc
	}
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time_secs}|%s>", t.Unix(), utc)
}

// duration is a length of time as people say it: 45s, 12m 30s, 3h 5m, 2d 4h.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
}

// took is how long a step needed.
func took(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return duration(d)
}

// safeURL returns a URL that may be shown as a link: http or https with a
// host, without credentials, and not too long.
func safeURL(s string) (string, bool) {
	if len(s) > maxURL || clean(s, maxURL) != s {
		return "", false
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return "", false
	}
	return s, true
}

// usableLinks sorts links into those to show and how many are left out: for
// what their URL is, or because there is no room.
func usableLinks(links []triage.Link) (usable []triage.Link, left int) {
	room := maxURLs
	for _, l := range links {
		target, ok := safeURL(l.URL)
		if !ok || len(usable) == maxLinks || len(target) > room {
			left++
			continue
		}
		room -= len(target)
		usable = append(usable, triage.Link{Title: line(l.Title, 75), URL: target})
	}
	return usable, left
}

// linkLine is a rich text section with links, nil without any.
func linkLine(links []triage.Link) *slack.RichTextSection {
	usable, left := usableLinks(links)
	var parts []slack.RichTextSectionElement
	for i, l := range usable {
		if i > 0 {
			parts = append(parts, plain(" · "))
		}
		parts = append(parts, slack.NewRichTextSectionLinkElement(l.URL, l.Title, nil))
	}
	if left > 0 {
		parts = append(parts, plain(leftOut(len(usable), left)))
	}
	if parts == nil {
		return nil
	}
	return slack.NewRichTextSection(parts...)
}

func leftOut(shown, left int) string {
	switch {
	case left == 1 && shown == 0:
		return "(1 link left out: unusable or too long)"
	case shown == 0:
		return fmt.Sprintf("(%d links left out: unusable or too long)", left)
	}
	return fmt.Sprintf(" · (%d more left out: unusable or too long)", left)
}

// plain and bold are runs of rich text, which Slack does not parse.
func plain(s string) *slack.RichTextSectionTextElement {
	return slack.NewRichTextSectionTextElement(s, nil)
}

func bold(s string) *slack.RichTextSectionTextElement {
	return slack.NewRichTextSectionTextElement(s, &slack.RichTextSectionTextStyle{Bold: true})
}

// plainText is a plain_text object, in which Slack looks for nothing: emoji
// false keeps a value like 10:100:5 from getting an emoji.
func plainText(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
}

// markup is a mrkdwn object of text that this package wrote itself. Verbatim
// keeps Slack from finding names and links in it.
func markup(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, s, false, true)
}
