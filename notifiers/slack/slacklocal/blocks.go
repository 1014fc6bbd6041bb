package slacklocal

// The Block Kit blocks that the workspace knows, as an app sends them.

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// block is a block of any type; which fields are set depends on it.
type block struct {
	Type      string       `json:"type"`
	BlockID   string       `json:"block_id"`
	Text      *textObject  `json:"text"`
	Fields    []textObject `json:"fields"`
	Accessory *element     `json:"accessory"`
	Elements  []element    `json:"elements"`
	Rows      [][]*element `json:"rows"`
	ImageURL  string       `json:"image_url"`
	SlackFile *slackFile   `json:"slack_file"`
	AltText   string       `json:"alt_text"`
	Title     *textObject  `json:"title"`
	Label     *textObject  `json:"label"` // of an input
	Hint      *textObject  `json:"hint"`
	Optional  bool         `json:"optional"`
	Input     *element     `json:"element"`
}

type textObject struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type slackFile struct {
	ID  string `json:"id"`
	URL string `json:"url"`
}

// element is an element of any block, of rich text at any depth, and a table cell.
type element struct {
	Type      string          `json:"type"`
	Text      json.RawMessage `json:"text"` // a string in rich text, an object in a button
	Elements  []element       `json:"elements"`
	Style     json.RawMessage `json:"style"` // an object in rich text, a string elsewhere
	URL       string          `json:"url"`
	Name      string          `json:"name"`    // emoji
	Unicode   string          `json:"unicode"` // emoji
	UserID    string          `json:"user_id"`
	GroupID   string          `json:"usergroup_id"`
	ChannelID string          `json:"channel_id"`
	Range     string          `json:"range"` // broadcast
	Timestamp int64           `json:"timestamp"`
	Format    string          `json:"format"`
	Fallback  string          `json:"fallback"`
	ActionID  string          `json:"action_id"`
	Value     json.RawMessage `json:"value"` // a string in a button, a number in a cell
	Options   []option        `json:"options"`
	ImageURL  string          `json:"image_url"`
	AltText   string          `json:"alt_text"`
	Confirm   *confirm        `json:"confirm"`

	// Of menus and text inputs.
	Placeholder   *textObject `json:"placeholder"`
	InitialOption *option     `json:"initial_option"`
	InitialValue  string      `json:"initial_value"`
	Multiline     bool        `json:"multiline"`
	MinLength     int         `json:"min_length"`
	MaxLength     int         `json:"max_length"`
}

type option struct {
	Text  textObject `json:"text"`
	Value string     `json:"value"`
}

// confirm is a question that is asked before an act.
type confirm struct {
	Title   *textObject `json:"title"`
	Text    *textObject `json:"text"`
	Confirm *textObject `json:"confirm"`
	Deny    *textObject `json:"deny"`
	Style   string      `json:"style"`
}

// textStyle is how rich text looks.
type textStyle struct {
	Bold, Italic, Strike, Code bool
}

func (e *element) textStyle() textStyle {
	var s textStyle
	_ = json.Unmarshal(e.Style, &s) // absent, or a list's: a string
	return s
}

// str is a JSON string's value, "" for anything else.
func str(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

// label is an element's text where that is a text object.
func (e *element) label() *textObject {
	var t textObject
	if json.Unmarshal(e.Text, &t) != nil || t.Type == "" {
		return nil
	}
	return &t
}

func parseBlocks(raw []byte) ([]block, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("not UTF-8")
	}
	var blocks []block
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return nil, err
	}
	return blocks, nil
}
