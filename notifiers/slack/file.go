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

// renderFileLink tells where the file is instead of showing it.
func renderFileLink(p *triage.FilePost) message {
	u := renderFile(p)
	note := triage.NotePost{IncidentID: p.IncidentID, Text: "File " + u.title + ": see the incident's evidence."}
	if _, usable := safeURL(p.Artifact.URL); usable {
		note.Text = "File " + u.title + ":"
		note.Links = []triage.Link{{Title: u.name, URL: p.Artifact.URL}}
	}
	return renderNote(&note)
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
