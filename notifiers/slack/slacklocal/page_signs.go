package slacklocal

// Emoji as pictures, as Slack shows them: a machine without an emoji font
// would show boxes. Only those that triagebot uses have one.

import "strings"

// sign is an emoji with the file that shows it.
type sign struct{ emoji, image string }

var signs = [...]sign{
	{"🔴", "red"},
	{"🟠", "orange"},
	{"🟡", "yellow"},
	{"🔵", "blue"},
	{"✅", "check"},
	{"🔺", "triangle"},
	{"❔", "question"},
	{"⏳", "hourglass"},
	{"▫️", "square"},
	{"➖", "minus"},
	{"🧭", "compass"},
	{"👤", "person"},
	{"🔕", "muted"},
}

// signedRun is text, or one emoji as a picture.
type signedRun struct {
	Text  string
	Image string
}

// signed splits text at the emoji that have a picture.
func signed(s string) []signedRun {
	var runs []signedRun
	for s != "" {
		at, next := len(s), sign{}
		for _, candidate := range signs {
			if i := strings.Index(s, candidate.emoji); i >= 0 && i < at {
				at, next = i, candidate
			}
		}
		if at > 0 {
			runs = append(runs, signedRun{Text: s[:at]})
		}
		if next.emoji != "" {
			runs = append(runs, signedRun{Text: next.emoji, Image: next.image})
		}
		s = s[at+len(next.emoji):]
	}
	return runs
}
