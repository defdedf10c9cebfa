// Publishes and consumes on nsqd, with nothing but Go's standard library:
//
//	go build -o nsqexample .
//	./nsqexample publish 127.0.0.1:4150 orders < orders.txt
//	./nsqexample consume 127.0.0.1:4150 orders go
//
// The first publishes each line of its input, and ends when nsqd has said OK to all. The second
// prints each message, and finishes it. A message that is no text comes again, at most five times.
// SIGTERM or Ctrl-C ends it when what it has is done. Both connect again when nsqd was away.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
	"unicode/utf8"

	"nsqexample/nsq"
)

const usage = "usage: nsqexample [-heartbeat 30s] publish ADDRESS TOPIC | consume ADDRESS TOPIC CHANNEL"

var heartbeat = flag.Duration("heartbeat", 30*time.Second, "how often nsqd asks whether we are there")

func main() {
	log.SetFlags(0)
	flag.Parse()
	var err error
	switch words := flag.Args(); {
	case len(words) == 3 && words[0] == "publish":
		err = publish(words[1], words[2], os.Stdin)
	case len(words) == 4 && words[0] == "consume":
		err = consume(words[1], words[2], words[3])
	default:
		log.Println(usage)
		os.Exit(2)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// publish sends each line. Lines that are there at the same time go together.
func publish(address, topic string, input io.Reader) error {
	producer := nsq.NewProducer(address)
	producer.Heartbeat = *heartbeat
	defer producer.Close()
	lines := bufio.NewReaderSize(input, 1<<16)
	var batch [][]byte
	for {
		line, err := lines.ReadBytes('\n')
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			batch = append(batch, line)
		}
		if len(batch) > 0 && (err != nil || lines.Buffered() == 0) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			failure := producer.Publish(ctx, topic, batch...)
			cancel()
			if failure != nil {
				return failure
			}
			batch = nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// consume prints messages until a signal comes.
func consume(address, topic, channel string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	consumer := nsq.NewConsumer(address, topic, channel, func(message nsq.Message) error {
		if !utf8.Valid(message.Body) {
			return errors.New("this is no text")
		}
		_, err := fmt.Printf("%s\n", message.Body)
		return err
	})
	consumer.Heartbeat = *heartbeat
	return consumer.Run(ctx)
}
