/** A worker of published.test.ts. */
import { enlist } from './crew.ts';
import { publish } from './published.ts';

enlist(publish);
