package slack

// A file: an artifact of the bundle, uploaded into the thread.

import (
	"path"
	"strings"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

// upload is a file rendered for Slack.
type upload struct {
	name    string // file name
	title   string
	alt     string // for pictures
	comment []slack.Block
}

func renderFile(p *triage.FilePost) upload {
	a := &p.Artifact
	u := upload{name: line(path.Base(a.Name), maxTitle), title: line(a.Title, maxTitle)}
	if strings.TrimSpace(a.Title) == "" {
		u.title = u.name
	}
	if a.IsPicture() {
		u.alt = line(a.Alt, maxAlt)
		if strings.TrimSpace(a.Alt) == "" {
			u.alt = u.title
		}
	}
	if strings.TrimSpace(p.Comment) != "" {
		u.comment = []slack.Block{richText(slack.NewRichTextSection(plain(line(p.Comment, maxHeadline))))}
	}
	return u
}
