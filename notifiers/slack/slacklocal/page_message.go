package slacklocal

// What the page shows of a message: its blocks reduced to spans.

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// shownBlock is a block as the page shows it.
type shownBlock struct {
	Type    string // header, text, fields, context, buttons, image, divider, table, input, unknown
	Spans   []span
	Fields  [][]span
	Parts   []part // of rich text
	Rows    [][][]span
	Widgets []widget
	Input   *input
	Image   string // URL
	Alt     string
}

// part is one element of rich text.
type part struct {
	Kind  string // section, preformatted, quote, list
	Spans []span
	Items []part // of a list
}

// all are the block's spans at any depth.
func (b *shownBlock) all() []span {
	out := slices.Concat(append([][]span{b.Spans}, b.Fields...)...)
	for _, row := range b.Rows {
		out = append(out, slices.Concat(row...)...)
	}
	for _, p := range b.Parts {
		out = append(out, p.all()...)
	}
	return out
}

func (p *part) all() []span {
	out := p.Spans
	for _, item := range p.Items {
		out = append(out, item.all()...)
	}
	return out
}

// view is the message's content. A message without blocks is its text.
func (m *Message) view() []shownBlock {
	blocks, err := parseBlocks(m.Blocks)
	if err != nil || len(blocks) == 0 {
		if m.Text == "" {
			return nil
		}
		return []shownBlock{{Type: "text", Spans: mrkdwn(m.Text)}}
	}
	giveNames(blocks)
	shown := make([]shownBlock, 0, len(blocks))
	for i := range blocks {
		shown = append(shown, blocks[i].view()...)
	}
	return shown
}

func (b *block) view() []shownBlock {
	switch b.Type {
	case "header":
		return []shownBlock{{Type: "header", Spans: object(b.Text)}}
	case "section":
		s := shownBlock{Type: "text", Spans: object(b.Text)}
		for i := range b.Fields {
			s.Fields = append(s.Fields, object(&b.Fields[i]))
		}
		if b.Accessory != nil {
			s.Widgets = b.widgets()
		}
		return []shownBlock{s}
	case "context":
		s := shownBlock{Type: "context"}
		for i := range b.Elements {
			if e := &b.Elements[i]; e.Type == "image" {
				s.Fields = append(s.Fields, []span{{Kind: spanText, Text: e.AltText}})
			} else {
				s.Fields = append(s.Fields, object(&textObject{Type: e.Type, Text: str(e.Text)}))
			}
		}
		return []shownBlock{s}
	case "actions":
		return []shownBlock{{Type: "buttons", Widgets: b.widgets()}}
	case "input":
		return []shownBlock{{Type: "input", Input: b.inputView()}}
	case "image":
		s := shownBlock{Type: "image", Image: b.ImageURL, Alt: b.AltText, Spans: object(b.Title)}
		return []shownBlock{s}
	case "divider":
		return []shownBlock{{Type: "divider"}}
	case "rich_text":
		return []shownBlock{{Type: "rich", Parts: parts(b.Elements)}}
	case "table":
		s := shownBlock{Type: "table"}
		for _, row := range b.Rows {
			s.Rows = append(s.Rows, tableRow(row))
		}
		return []shownBlock{s}
	}
	return []shownBlock{{Type: "unknown", Spans: []span{{Kind: spanText, Text: "(a block of type " + b.Type + ")"}}}}
}

func parts(elements []element) []part {
	var out []part
	for i := range elements {
		e := &elements[i]
		p := part{Kind: strings.TrimPrefix(e.Type, "rich_text_")}
		if p.Kind == "list" {
			p.Items = parts(e.Elements)
		} else {
			p.Spans = inline(e.Elements)
		}
		out = append(out, p)
	}
	return out
}

func tableRow(cells []*element) [][]span {
	var row [][]span
	for _, cell := range cells {
		var spans []span
		switch {
		case cell == nil:
		case cell.Type == "rich_text":
			for _, p := range parts(cell.Elements) {
				spans = append(spans, p.all()...)
			}
		default:
			text := str(cell.Text)
			if text == "" {
				text = string(cell.Value)
			}
			spans = []span{{Kind: spanText, Text: text}}
		}
		row = append(row, spans)
	}
	return row
}

// shownMessage is a message as the page shows it.
type shownMessage struct {
	TS      string
	Version int
	Who     string
	IsBot   bool
	Hidden  bool // seen by one person only
	At      time.Time
	Edited  bool
	Gone    bool
	Blocks  []shownBlock
	Files   []shownFile
	Replies []shownMessage
}

// shownFile is an upload as the page shows it.
type shownFile struct {
	Title   string
	Alt     string
	URL     string
	Size    string
	Picture bool
}

// show makes what the page shows of a message. Call with mu held.
func (w *Workspace) show(m *Message) shownMessage {
	us, _ := parseTS(m.TS)
	s := shownMessage{
		TS: m.TS, Version: m.Edits, Who: BotName, IsBot: true, At: time.UnixMicro(us).UTC(),
		Edited: m.Edits > 0, Gone: m.Subtype == tombstone, Blocks: m.view(),
	}
	if m.BotID != BotID && !s.Gone {
		s.Who, s.IsBot = w.nameOf(m.User), m.BotID != ""
		if s.Who == "" {
			s.Who = m.BotID
		}
	}
	if s.Gone {
		s.Version = -1
		s.Who, s.IsBot = "somebody", false
	}
	for _, id := range m.Files {
		f := w.files[id]
		if f == nil {
			s.Files = append(s.Files, shownFile{Title: "a file that is no longer kept"})
			continue
		}
		title := f.Title
		if title == "" {
			title = f.Name
		}
		s.Files = append(s.Files, shownFile{Title: title, Alt: f.Alt, URL: f.path(), Size: size(f.Size), Picture: f.isPicture()})
	}
	return s
}

func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
