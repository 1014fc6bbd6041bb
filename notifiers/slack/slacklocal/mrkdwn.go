package slacklocal

// Reading text the way Slack does: mrkdwn with its control sequences, and rich
// text, both as spans. A span that pings somebody is a mention.

import (
	"slices"
	"strings"
	"unicode"
)

// spanKind is what a span is.
type spanKind string

const (
	spanText    spanKind = "text"
	spanPre     spanKind = "pre"
	spanLink    spanKind = "link"
	spanMention spanKind = "mention"
	spanDate    spanKind = "date"
)

// span is a run of text in one look.
type span struct {
	Kind  spanKind
	Text  string // what is shown, without any markup
	URL   string // of a link: http, https or mailto
	Style textStyle
}

var unescaper = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// mrkdwn reads Slack's markup.
func mrkdwn(s string) []span { return appendMrkdwn(nil, s, textStyle{}) }

func appendMrkdwn(spans []span, s string, style textStyle) []span {
	from := 0 // of the plain run
	flush := func(to int) {
		if to > from {
			spans = append(spans, span{Kind: spanText, Text: unescaper.Replace(s[from:to]), Style: style})
		}
	}
	for i := 0; i < len(s); i++ {
		rest := s[i:]
		var next []span
		size := 0
		switch {
		case strings.HasPrefix(rest, "```"):
			if end := strings.Index(rest[3:], "```"); end > 0 {
				next, size = []span{{Kind: spanPre, Text: unescaper.Replace(rest[3 : 3+end])}}, end+6
			}
		case rest[0] == '`':
			if end := closing(rest, '`'); end > 0 {
				code := style
				code.Code = true
				next, size = []span{{Kind: spanText, Text: unescaper.Replace(rest[1:end]), Style: code}}, end+1
			}
		case rest[0] == '<':
			if end := strings.IndexAny(rest[1:], "<>\n"); end > 0 && rest[1+end] == '>' {
				next, size = []span{control(rest[1:1+end], style)}, end+2
			}
		case strings.ContainsRune("*_~", rune(rest[0])) && opens(s, i):
			if end := closing(rest, rest[0]); end > 1 {
				next, size = appendMrkdwn(nil, rest[1:end], styled(style, rest[0])), end+1
			}
		}
		if size > 0 {
			flush(i)
			spans = append(spans, next...)
			i += size - 1
			from = i + 1
		}
	}
	flush(len(s))
	return spans
}

// opens says whether a sign at i may open a styled run.
func opens(s string, i int) bool {
	if i == 0 {
		return true
	}
	before := rune(s[i-1])
	return unicode.IsSpace(before) || strings.ContainsRune("([{*_~", before)
}

// closing is the index of the sign that closes the run at the start of s, in
// the same line; 0 when there is none.
func closing(s string, sign byte) int {
	end := strings.IndexAny(s[1:], string(sign)+"\n")
	if end < 1 || s[1+end] != sign || unicode.IsSpace(rune(s[1])) || unicode.IsSpace(rune(s[end])) {
		return 0
	}
	return 1 + end
}

func styled(s textStyle, sign byte) textStyle {
	switch sign {
	case '*':
		s.Bold = true
	case '_':
		s.Italic = true
	case '~':
		s.Strike = true
	}
	return s
}

// control reads what stands between < and >.
func control(s string, style textStyle) span {
	what, label, labelled := strings.Cut(s, "|")
	label = unescaper.Replace(label)
	switch {
	case strings.HasPrefix(what, "!date^"):
		return span{Kind: spanDate, Text: label, Style: style}
	case strings.HasPrefix(what, "!"), strings.HasPrefix(what, "@"):
		name := "@" + strings.TrimPrefix(strings.TrimLeft(what, "!@"), "subteam^")
		if labelled {
			name = label
		}
		return span{Kind: spanMention, Text: name, Style: style}
	case strings.HasPrefix(what, "#"):
		return span{Kind: spanText, Text: "#" + strings.TrimPrefix(what, "#"), Style: style}
	}
	target := unescaper.Replace(what)
	if !labelled {
		label = target
	}
	return link(target, label, style)
}

// link is a link span, or text where the URL is none to click on.
func link(target, label string, style textStyle) span {
	if label == "" {
		label = target
	}
	for _, scheme := range []string{"http://", "https://", "mailto:"} {
		if strings.HasPrefix(strings.ToLower(target), scheme) {
			return span{Kind: spanLink, Text: label, URL: target, Style: style}
		}
	}
	return span{Kind: spanText, Text: label, Style: style}
}

// inline reads the elements of rich text.
func inline(elements []element) []span {
	var spans []span
	for i := range elements {
		e := &elements[i]
		style := e.textStyle()
		switch e.Type {
		case "text":
			spans = append(spans, span{Kind: spanText, Text: str(e.Text), Style: style})
		case "link":
			spans = append(spans, link(e.URL, str(e.Text), style))
		case "emoji":
			spans = append(spans, span{Kind: spanText, Text: ":" + e.Name + ":", Style: style})
		case "date":
			spans = append(spans, span{Kind: spanDate, Text: e.Fallback, Style: style})
		case "user":
			spans = append(spans, span{Kind: spanMention, Text: "@" + e.UserID, Style: style})
		case "usergroup":
			spans = append(spans, span{Kind: spanMention, Text: "@" + e.GroupID, Style: style})
		case "broadcast":
			spans = append(spans, span{Kind: spanMention, Text: "@" + e.Range, Style: style})
		case "channel":
			spans = append(spans, span{Kind: spanText, Text: "#" + e.ChannelID, Style: style})
		}
	}
	return spans
}

// object reads a text object.
func object(t *textObject) []span {
	switch {
	case t == nil:
		return nil
	case t.Type == "mrkdwn":
		return mrkdwn(t.Text)
	}
	return []span{{Kind: spanText, Text: t.Text}}
}

// Pings lists whom the message pings, anywhere in its text and blocks.
func (m *Message) Pings() []string {
	spans := mrkdwn(m.Text)
	for _, b := range m.view() {
		spans = append(spans, b.all()...)
	}
	var pinged []string
	for _, s := range spans {
		if s.Kind == spanMention {
			pinged = append(pinged, s.Text)
		}
	}
	slices.Sort(pinged)
	return slices.Compact(pinged)
}
