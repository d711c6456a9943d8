// franz-go: the Go client that follows Kafka's newest protocol versions.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

type record struct {
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Key       *string      `json:"key"`
	Value     *string      `json:"value"`
	Headers   [][2]*string `json:"headers"`
}

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
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
	ctx := context.Background()
	for _, one := range topics {
		codec, topic, _ := strings.Cut(one, "=")
		client, err := kgo.NewClient(
			kgo.SeedBrokers(bootstrap),
			kgo.ProducerBatchCompression(codecs[codec]),
			kgo.RecordPartitioner(kgo.ManualPartitioner()),
		)
		check(err)
		var records []*kgo.Record
		for _, r := range read(file) {
			if r.Topic == topic {
				records = append(records, r)
			}
		}
		check(client.ProduceSync(ctx, records...).FirstErr())
		client.Close()
	}
}

func consume(bootstrap, group string, rest []string) {
	count, err := strconv.Atoi(rest[0])
	check(err)
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(rest[1:]...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	check(err)
	defer client.Close()
	for seen := 0; seen < count; {
		fetches := client.PollFetches(context.Background())
		fetches.EachError(func(topic string, partition int32, err error) {
			log.Fatalf("%s-%d: %v", topic, partition, err)
		})
		fetches.EachRecord(func(r *kgo.Record) {
			if seen++; seen <= count {
				print(r)
			}
		})
	}
}

func read(file string) (records []*kgo.Record) {
	opened, err := os.Open(file)
	check(err)
	lines := bufio.NewScanner(opened)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var got record
		check(json.Unmarshal(lines.Bytes(), &got))
		r := &kgo.Record{Topic: got.Topic, Partition: got.Partition}
		r.Key, r.Value = fromHex(got.Key), fromHex(got.Value)
		for _, h := range got.Headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: *h[0], Value: fromHex(h[1])})
		}
		records = append(records, r)
	}
	check(lines.Err())
	return records
}

func print(r *kgo.Record) {
	out := record{r.Topic, r.Partition, toHex(r.Key), toHex(r.Value), [][2]*string{}}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, [2]*string{&h.Key, toHex(h.Value)})
	}
	line, err := json.Marshal(out)
	check(err)
	fmt.Println(string(line))
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
