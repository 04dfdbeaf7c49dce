// aedes with its in-memory persistence behind a plain TCP server: the ceiling of a library of the same language.
import { createServer } from 'node:net'
import { Aedes } from 'aedes'

const broker = await Aedes.createBroker({ concurrency: 100 })
createServer({ noDelay: true }, broker.handle).listen(Number(process.argv[2]), '127.0.0.1')
