// `npm run pair`: two nodes on one directory, to watch a failover.
import { foreground } from './foreground.mjs'

foreground('pair')
