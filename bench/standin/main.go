// Command standin is an OpenAI-compatible upstream that costs almost nothing:
// every answer is rendered before the first request, and only the prompt's
// token count is filled in. It exists so that a benchmark measures the gateway
// in front of it. It knows no keys and takes every credential.
package main

import (
	"flag"
	"log"
	"net/http"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8098", "address to listen on")
	chunks := flag.Int("chunks", 100, "SSE chunks of a streamed answer, before the usage chunk and [DONE]")
	flag.Parse()
	if *chunks < 2 {
		log.Fatal("standin: -chunks must be at least 2: one that opens and one that closes the message")
	}
	log.Fatal(http.ListenAndServe(*listen, newHandler(*chunks)))
}
