// `npm run build`: builds `dist` when a source is newer.
import { buildIfStale } from './set-up.mjs'

buildIfStale()
