// Says which partitions a group is behind on, and ends with status 1, when it is by more than LIMIT
// records in all; otherwise it is silent. For cron, or whatever else looks at output and status.
//
//     node lag_alert.js [GROUP [LIMIT]]
'use strict'
const { Kafka, logLevel } = require('kafkajs')

const [groupId = 'billing', limit = '1000'] = process.argv.slice(2)

const kafka = new Kafka({
  clientId: 'lag-alert',
  brokers: (process.env.BOOTSTRAP_SERVERS ?? '127.0.0.1:9092').split(','),
  logLevel: logLevel.WARN,
})
const admin = kafka.admin()

async function lags() {
  const found = []
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId })) {
    const ends = new Map((await admin.fetchTopicOffsets(topic)).map((one) => [one.partition, one]))
    for (const { partition, offset } of partitions) {
      const { low, high } = ends.get(partition)
      // What retention has deleted nobody is behind on.
      const next = Math.max(Number(offset), Number(low))
      found.push({ topic, partition, lag: Number(high) - next })
    }
  }
  return found
}

async function main() {
  await admin.connect()
  const found = await lags()
  await admin.disconnect()
  if (!found.length) throw new Error(`group ${groupId} has committed nothing`)

  const total = found.reduce((sum, { lag }) => sum + lag, 0)
  if (total <= Number(limit)) return
  console.log(`group ${groupId} is ${total} records behind, more than ${limit}:`)
  for (const { topic, partition, lag } of found.filter(({ lag }) => lag > 0)) {
    console.log(`  ${topic}-${partition}: ${lag}`)
  }
  process.exitCode = 1
}

main().catch((error) => {
  console.error(error)
  process.exit(2)
})
