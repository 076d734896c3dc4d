/**
 * A process of `api.mjs`: gets the path of an API Extractor configuration, and answers with null or with what
 * the extractor says.
 */
import { createRequire } from 'node:module';

const { Extractor, ExtractorConfig } = createRequire(import.meta.url)('@microsoft/api-extractor');

process.on('message', (file) => {
  const said = [];
  try {
    const { succeeded } = Extractor.invoke(ExtractorConfig.loadFileAndPrepare(file), {
      localBuild: process.argv.includes('--local'),
      messageCallback: (message) => {
        if (message.logLevel === 'error' || message.logLevel === 'warning') said.push(message.text);
        message.handled = true;
      },
    });
    process.send(succeeded ? null : said.join('\n') || 'the report differs');
  } catch (error) {
    process.send(String(error));
  }
});
