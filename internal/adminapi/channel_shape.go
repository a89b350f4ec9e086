package adminapi

import "halley/internal/channel"

// capsView is a channel's caps on each node.
type capsView struct {
	Concurrency int64 `json:"concurrency" doc:"Requests at the same time; 0 is no bound."`
	RPM         int64 `json:"rpm" doc:"Requests in any 60 seconds; 0 is no bound."`
	TPM         int64 `json:"tpm" doc:"Tokens in any 60 seconds, input and output together; 0 is no bound."`
	QueueMS     int64 `json:"queue_ms" doc:"How many milliseconds a request waits that can go nowhere else; 0 is the default, 2000."`
}

func viewCaps(c channel.Caps) capsView {
	return capsView{Concurrency: c.Concurrency, RPM: c.RPM, TPM: c.TPM, QueueMS: c.Queue.Milliseconds()}
}
