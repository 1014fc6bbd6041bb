// Package inbound takes in what people do in Slack: slash commands, clicks,
// dialogs and mentions, over HTTP and over Socket Mode. It makes a
// [triage.Request] of each, has it carried out, and shows the person, and only
// them, the reply. It decides nothing but whether a request comes from Slack,
// for the first time, and from a member of its own workspace.
//
// Read inbound.go for the parts and who owns them, decode.go for what may come
// in, http.go and socket.go for the two ways, work.go for the workers that both
// feed, and answer.go for how the reply gets back.
package inbound
