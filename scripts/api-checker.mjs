/**
 * A process of `api.mjs`: gets the path of an API Extractor configuration, and answers with null or with what
 * the extractor says.
 */
import { createRequire } from 'node:module';

const { Extractor, ExtractorConfig } = createRequire(import.meta.url)('@microsoft/api-extractor');

const local = process.argv.includes('--local');

process.on('message', (file) => {
  const said = [];
  try {
    const { succeeded } = Extractor.invoke(ExtractorConfig.loadFileAndPrepare(file), {
      localBuild: local,
      messageCallback: (message) => {
        message.handled = true;
        if (message.logLevel !== 'error' && message.logLevel !== 'warning') return;
        // With `--local` a new report is no fault; what is wrong in a comment is one with it too.
        if (local && message.messageId.startsWith('console-api-report')) return;
        said.push(message.text);
      },
    });
    const isInOrder = succeeded && said.length === 0;
    process.send(isInOrder ? null : said.join('\n') || 'the report differs');
  } catch (error) {
    process.send(String(error));
  }
});
