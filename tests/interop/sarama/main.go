// Sarama: the oldest Go client in wide use.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

type record struct {
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Key       *string      `json:"key"`
	Value     *string      `json:"value"`
	Headers   [][2]*string `json:"headers"`
}

var codecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func main() {
	role, bootstrap, first, rest := os.Args[1], os.Args[2], os.Args[3], os.Args[4:]
	if role == "produce" {
		produce(bootstrap, first, rest)
	} else {
		consume(bootstrap, first, rest)
	}
}

func produce(bootstrap, file string, topics []string) {
	for _, one := range topics {
		codec, topic, _ := strings.Cut(one, "=")
		config := sarama.NewConfig()
		config.Producer.Compression = codecs[codec]
		config.Producer.Partitioner = sarama.NewManualPartitioner
		config.Producer.Return.Successes = true
		config.Producer.Flush.Frequency = 20 * time.Millisecond
		config.Producer.RequiredAcks = sarama.WaitForAll
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
		producer, err := sarama.NewSyncProducer([]string{bootstrap}, config)
		check(err)
		var messages []*sarama.ProducerMessage
		for _, m := range read(file) {
			if m.Topic == topic {
				messages = append(messages, m)
			}
		}
		check(producer.SendMessages(messages))
		check(producer.Close())
	}
}

func consume(bootstrap, group string, rest []string) {
	count, err := strconv.Atoi(rest[0])
	check(err)
	config := sarama.NewConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Return.Errors = true
	member, err := sarama.NewConsumerGroup([]string{bootstrap}, group, config)
	check(err)
	go func() {
		for err := range member.Errors() {
			log.Print(err)
		}
	}()
	ctx, enough := context.WithCancel(context.Background())
	printer := &printer{left: count, enough: enough}
	for ctx.Err() == nil {
		err := member.Consume(ctx, rest[1:], printer)
		if err != nil && !errors.Is(err, context.Canceled) {
			log.Fatal(err)
		}
	}
	check(member.Close())
}

// printer prints what every claimed partition brings, until enough were printed.
type printer struct {
	lock   sync.Mutex
	left   int
	enough func()
}

func (p *printer) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (p *printer) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (p *printer) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	for {
		select {
		case message := <-claim.Messages():
			if message != nil {
				p.print(message)
				session.MarkMessage(message, "")
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func (p *printer) print(m *sarama.ConsumerMessage) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.left == 0 {
		return
	}
	out := record{m.Topic, m.Partition, toHex(m.Key), toHex(m.Value), [][2]*string{}}
	for _, h := range m.Headers {
		name := string(h.Key)
		out.Headers = append(out.Headers, [2]*string{&name, toHex(h.Value)})
	}
	line, err := json.Marshal(out)
	check(err)
	fmt.Println(string(line))
	if p.left--; p.left == 0 {
		p.enough()
	}
}

func read(file string) (messages []*sarama.ProducerMessage) {
	opened, err := os.Open(file)
	check(err)
	lines := bufio.NewScanner(opened)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var got record
		check(json.Unmarshal(lines.Bytes(), &got))
		m := &sarama.ProducerMessage{Topic: got.Topic, Partition: got.Partition}
		if got.Key != nil {
			m.Key = sarama.ByteEncoder(fromHex(got.Key))
		}
		if got.Value != nil {
			m.Value = sarama.ByteEncoder(fromHex(got.Value))
		}
		for _, h := range got.Headers {
			header := sarama.RecordHeader{Key: []byte(*h[0]), Value: fromHex(h[1])}
			m.Headers = append(m.Headers, header)
		}
		messages = append(messages, m)
	}
	check(lines.Err())
	return messages
}

func fromHex(text *string) []byte {
	if text == nil {
		return nil
	}
	bytes, err := hex.DecodeString(*text)
	check(err)
	return bytes
}

func toHex(bytes []byte) *string {
	if bytes == nil {
		return nil
	}
	text := hex.EncodeToString(bytes)
	return &text
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
